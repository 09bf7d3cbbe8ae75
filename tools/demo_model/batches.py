"""Batches of training prompts without end: what is asked about how often, and batches that take equally long."""

import random
from dataclasses import replace

from tools.demo_model.conversations import Talker
from tools.demo_model.media import Pool
from tools.demo_model.prompts import Encoder, Prompt, cut

TOKENS_A_STEP = 4600
READY = 12  # batches to choose from, at least, so that processes find ones of the same cost
# how many times as often as planned, for what was learnt last
PRACTISED = {":beeps": 1.5, ":is_beeps": 2.0, ":hear_what": 2.0, ":is_pitch": 1.3, ":says_word": 2.5, ":is_trend": 1.5}
SUPPOSED = 8  # exchanges about other media to a prompt, of which only what follows without them is learnt
BRANCHES = {
    "text": 8,
    "picture": 10,
    "sound": 14,
    "clip": 12,
    "pictures": 10,
    "picture+sound": 10,
    "picture+clip": 8,
    "sound+clip": 6,
    "clips": 6,
    "follow-up": 5,
}
MIX = {
    "text": 2.5,
    "picture": 5.0,
    "sound": 12.0,
    "clip": 1.5,
    "pictures": 9.0,
    "picture+sound": 4.5,
    "picture+clip": 2.0,
    "sound+clip": 1.3,
    "clips": 2.0,
    "follow-up": 3.0,
}


class Source:
    """Endless training prompts: topics with fresh cuts of the clips, in batches of similar length."""

    def __init__(
        self,
        pool: Pool,
        encoder: Encoder,
        mix: dict[str, float],
        rng: random.Random,
        thinned: float = 0.0,
        whole: float = 1.0,
        held_out: bool = False,
    ) -> None:
        self.pool, self.encoder, self.rng, self.thinned = pool, encoder, rng, thinned
        self.whole = whole
        self.held_out = held_out
        self.talker = Talker(pool, rng, held_out)
        self.uncut = pool.clips
        self.mix = mix
        self.ready: list[list[Prompt]] = []
        self.pace = random.Random(0)  # the same in every process: they wait for the one with the longest batch
        self.losses: dict[str, float] = {}
        self.talker.asker.focus = lambda intent: self.focus(f":{intent}")

    def focus(self, name: str) -> float:
        """How often to ask this, as a multiple of the plan: 0.5 to 3 times, more where answers are worse.

        Less than half as often, and what was learnt is lost in other wordings long before the loss here tells.
        """
        planned = PRACTISED.get(name, 1.0)
        if name not in self.losses:
            return planned
        ratio: float = (self.losses[name] / self.losses["all"]) ** 0.7
        return planned * min(3.0, max(0.5, ratio))

    def learn(self, prompts: list[Prompt], losses: list[float]) -> None:
        """Take in the loss of every part, in their order, of a batch: running means by category and intent.

        Each begins with the mean of all, lest one bad first answer stand for the rare ones.
        """
        parts = iter(losses)
        for prompt in prompts:
            next(parts)
            for branch in prompt.branches:
                loss = next(parts)
                for name in ("all", prompt.category, f":{branch.intent}") if branch.intent else ():
                    before = self.losses.get(name, self.losses.get("all", loss))
                    self.losses[name] = loss + 0.99 * (before - loss)

    def prompt(self, category: str, count: int) -> Prompt:
        """A prompt; frames keep some or all of their tokens, so that all of them are nothing new to the model."""
        if self.uncut and ("clip" in category or category == "follow-up"):
            self.pool.clips = [cut(medium, self.rng) for medium in self.rng.sample(self.uncut, 2)]
        topic = self.talker.topic(category)
        media = [medium for turn in topic.before for medium in turn.media] + list(topic.media)
        if frames := sum(len(medium.data) for medium in media if medium.kind == "video"):
            if self.rng.random() < self.whole:  # long: more questions cost little there
                return self.encoder.prompt(topic, count * (1 if self.held_out else 2), self.rng)
            most = self.rng.choice((5, 8, 16, 32, 64) if frames <= 8 else (4, 6, 8, 16) if frames <= 16 else (3, 4, 6))
            return self.encoder.prompt(topic, count, self.rng, True, (max(2, most - 3), most))
        thinned = self.rng.random() < self.thinned
        return self.encoder.prompt(topic, count, self.rng, thinned, supposed=0 if self.held_out else SUPPOSED)

    def batch(self) -> list[Prompt]:
        if len(self.ready) < READY:
            weights = [weight * self.focus(category) for category, weight in self.mix.items()]
            categories = self.rng.choices(list(self.mix), weights, k=160)
            prompts = [replace(self.prompt(category, BRANCHES[category]), category=category) for category in categories]
            prompts.sort(key=lambda prompt: (len(prompt.stem), len(prompt)))
            batches: list[list[Prompt]] = [[]]
            for prompt in prompts:
                if batches[-1] and sum(map(len, batches[-1])) + len(prompt) > TOKENS_A_STEP:
                    batches.append([])
                batches[-1].append(prompt)
            self.ready = sorted(self.ready + batches, key=cost)
        return self.ready.pop(int(self.pace.random() * len(self.ready)))


def cost(batch: list[Prompt]) -> float:
    """About how long a batch takes: by its tokens, and by the square of each prompt's for attention."""
    return sum(len(prompt) + len(prompt) ** 2 / 4000 for prompt in batch)
