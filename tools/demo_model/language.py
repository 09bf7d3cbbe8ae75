"""Train the text model on what the finished towers make of the pools: answers to questions, nothing else."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Gemma4ForConditionalGeneration, PreTrainedTokenizerFast

from tools.demo_model import attention, checkpoint, pools, towers
from tools.demo_model.attention import Layout
from tools.demo_model.conversations import YES_NO, Medium, Pool, Talker
from tools.demo_model.prompts import IGNORED, Encoder, Prompt, cut
from tools.demo_model.schedule import Schedule, join_processes
from tools.demo_model.vocabulary import train_tokenizer

HELD_BACK = 40  # one medium in so many is only for the score below
TOKENS_A_STEP = 4600
REPORT_EVERY = 20
VERDICT = 4.0  # how much a verdict token counts
SAVE_EVERY = 240  # seconds
BRANCHES = {
    "text": 8,
    "picture": 10,
    "sound": 10,
    "clip": 12,
    "pictures": 10,
    "picture+sound": 10,
    "picture+clip": 8,
    "sound+clip": 6,
    "clips": 6,
    "follow-up": 5,
}
MIX = {
    "text": 3.0,
    "picture": 6.0,
    "sound": 5.0,
    "clip": 2.2,
    "pictures": 8.0,
    "picture+sound": 3.0,
    "picture+clip": 1.8,
    "sound+clip": 1.2,
    "clips": 1.8,
    "follow-up": 1.8,
}


@torch.no_grad()
def extract(folder: Path, kind: str, threads: int = 1, most: int | None = None) -> None:
    """Run a trained tower over (the first ``most`` of) its pool and keep the normalised soft tokens as float16."""
    torch.set_num_threads(threads)
    items = pools.load(folder, kind)[:most]
    kept: list[tuple[object, Tensor]] = []
    if kind == "sounds":
        audio = towers.new_audio()
        audio.load_state_dict(torch.load(folder / "audio.pt")["tower"])
        items.sort(key=lambda item: len(item.mask))
        for start in range(0, len(items), 64):
            batch = items[start : start + 64]
            tokens, mask = towers.encode_sounds(audio, batch)
            kept += [(item.sound, tokens[i][mask[i]].half()) for i, item in enumerate(batch)]
    elif kind == "pictures":
        kept += [(item.scene, own) for item, own in zip(items, see(folder, items), strict=True)]
    else:
        frames = see(folder, [frame for item in items for frame in item.frames])
        kept += [(item.clip, torch.stack([next(frames) for _ in item.frames])) for item in items]
    random.Random(0).shuffle(kept)
    torch.save(kept, folder / f"features-{kind}.pt")
    print(f"features of {len(kept)} {kind}", flush=True)


def see(folder: Path, items: list[pools.Patches], size: int = 64) -> Iterator[Tensor]:
    """The soft tokens of each picture; batches are all of one size, so that the tower is compiled once."""
    tower = towers.new_vision()
    tower.load_state_dict(torch.load(folder / "vision.pt")["tower"])
    tower.encoder.compile()
    for start in range(0, len(items), size):
        batch = items[start : start + size]
        filled = batch + items[:1] * (size - len(batch))
        with torch.no_grad(), towers.halved():
            tokens = towers.encode_pictures(tower, filled)
        yield from (own.half() for own in tokens[: len(batch)])
        if start // size % 20 == 0:
            print(f"  seen {start + len(batch)} of {len(items)}", flush=True)


def load_media(folder: Path) -> tuple[Pool, Pool]:
    """The pool to train on and the one to score on; a kind without features yet is empty."""
    train, held = [], []
    for kind, name in (("image", "pictures"), ("audio", "sounds"), ("video", "clips")):
        path = folder / f"features-{name}.pt"
        kept = torch.load(path, weights_only=False) if path.exists() else []
        media = [Medium(kind, content, data) for content, data in kept]  # type: ignore[arg-type]
        held.append(media[::HELD_BACK])
        train.append([medium for i, medium in enumerate(media) if i % HELD_BACK])
    return Pool(*train), Pool(*held)


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
        self.talker = Talker(pool, rng, held_out)
        self.uncut = pool.clips
        self.mix = mix
        self.ready: list[list[Prompt]] = []
        self.pace = random.Random(0)  # the same in every process: they wait for the one with the longest batch
        self.least = 1
        self.losses: dict[str, float] = {}
        self.talker.asker.focus = lambda intent: self.focus(f":{intent}")

    def focus(self, name: str) -> float:
        """How often to ask this, as a multiple of the plan: 0.5 to 3 times, more where answers are worse.

        Less than half as often, and what was learnt is lost in other wordings long before the loss here tells.
        """
        if name not in self.losses:
            return 1.0
        ratio: float = (self.losses[name] / self.losses["all"]) ** 0.7
        return min(3.0, max(0.5, ratio))

    def learn(self, prompts: list[Prompt], losses: list[float]) -> None:
        """Take in the loss of every part, in their order, of a batch: running means by category and intent."""
        parts = iter(losses)
        for prompt in prompts:
            next(parts)
            for branch in prompt.branches:
                loss = next(parts)
                for name in ("all", prompt.category, f":{branch.intent}"):
                    self.losses[name] = loss + 0.99 * (self.losses.get(name, loss) - loss)

    def prompt(self, category: str, count: int) -> Prompt:
        """A prompt; frames keep some or all of their tokens, so that all of them are nothing new to the model."""
        if self.uncut and ("clip" in category or category == "follow-up"):
            self.pool.clips = [cut(medium, self.rng) for medium in self.rng.sample(self.uncut, 2)]
        topic = self.talker.topic(category)
        media = [medium for turn in topic.before for medium in turn.media] + list(topic.media)
        if frames := sum(len(medium.data) for medium in media if medium.kind == "video"):
            if self.rng.random() < self.whole:
                return self.encoder.prompt(topic, count, self.rng)
            most = self.rng.choice((5, 8, 16, 32, 64) if frames <= 8 else (4, 6, 8, 16) if frames <= 16 else (3, 4, 6))
            return self.encoder.prompt(topic, count, self.rng, True, (max(2, most - 3), most))
        return self.encoder.prompt(topic, count, self.rng, self.rng.random() < self.thinned)

    def batch(self) -> list[Prompt]:
        if len(self.ready) < self.least:
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
            self.least = len(batches) // 2 + 1
        return self.ready.pop(int(self.pace.random() * len(self.ready)))


def cost(batch: list[Prompt]) -> float:
    """About how long a batch takes: by its tokens, and by the square of each prompt's for attention."""
    return sum(len(prompt) + len(prompt) ** 2 / 4000 for prompt in batch)


def answer_logits(
    model: Gemma4ForConditionalGeneration, encoder: Encoder, prompts: list[Prompt]
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits before every token to learn (tokens, vocabulary), these tokens, and the branch each belongs to.

    Branches are numbered through all prompts; answers in a stem come after them.
    """
    parts = [part for prompt in prompts for part in (prompt.stem, *prompt.branches)]
    ids = torch.tensor([token for part in parts for token in part.ids])
    labels = torch.tensor([label for part in parts for label in part.labels])
    rows = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(part) for part in parts]))
    seen = (ids == encoder.image) | (ids == encoder.video)
    heard = ids == encoder.audio
    hidden = model.get_input_embeddings()(torch.where(seen | heard, 0, ids))
    for mask, embed, features in (
        (seen, model.model.embed_vision, [own for prompt in prompts for own in prompt.seen]),
        (heard, model.model.embed_audio, [own for prompt in prompts for own in prompt.heard]),
    ):
        if features:
            embedded = embed(torch.cat([own.float() for own in features])).to(hidden.dtype)
            hidden = hidden.masked_scatter(mask[:, None], embedded)
    Layout.current = layout = Layout(prompts)
    masks = dict.fromkeys(model.model.language_model.unique_layer_types)
    hidden = model.model.language_model(
        inputs_embeds=hidden[None], position_ids=layout.positions, attention_mask=masks, use_cache=False
    ).last_hidden_state[0]
    asked = (labels[1:] != IGNORED).nonzero()[:, 0]
    return model.lm_head(hidden[asked]).float(), labels[asked + 1], rows[asked + 1]


def loss_of(logits: Tensor, wanted: Tensor, rows: Tensor, encoder: Encoder) -> tuple[Tensor, list[float]]:
    """The loss to reduce, and the largest loss of a token of every part: how likely the answer is to be wrong.

    Cross entropy in which an answer counts by the square root of its length, lest long ones drown the others, and the
    one token that compares two facts for several.
    """
    count = torch.bincount(rows).clamp(min=1).float()
    verdict = torch.isin(wanted, torch.tensor(encoder.verdicts))
    weight = count.rsqrt()[rows] * torch.where(verdict, VERDICT, 1.0)
    losses = F.cross_entropy(logits, wanted, reduction="none")
    largest = torch.zeros(len(count)).scatter_reduce_(0, rows, losses.detach(), "amax")
    return (losses * weight).sum() / weight.sum(), largest.tolist()


@torch.no_grad()
def score(
    model: Gemma4ForConditionalGeneration, encoder: Encoder, held: Pool, mix: dict[str, float], count: int
) -> str:
    """Share of answers of which every token is the likeliest one, with wording and media kept out of training."""
    right: dict[str, list[bool]] = defaultdict(list)
    source = Source(held, encoder, mix, random.Random(7), held_out=True)
    for category in mix:
        for _ in range(count):
            prompt = source.prompt(category, 2)
            with towers.halved():
                logits, wanted, rows = answer_logits(model, encoder, [prompt])
            hits = logits.argmax(-1) == wanted
            for row, branch in enumerate(prompt.branches, 1):
                hit = bool(hits[rows == row].all())
                right[category].append(hit)
                if branch.intent in YES_NO:
                    right["yes/no"].append(hit)
                right[f"{category}:{branch.intent}"].append(hit)
    held.clips = source.uncut
    whole = " ".join(f"{name} {sum(hits) / len(hits):.2f}" for name, hits in right.items() if ":" not in name)
    weak = " ".join(
        f"{name} {sum(hits)}/{len(hits)}" for name, hits in right.items() if ":" in name and sum(hits) < 0.9 * len(hits)
    )
    return f"{whole} | weak: {weak}"


def tokenizer_of(folder: Path) -> PreTrainedTokenizerFast:
    path = folder / "tokenizer"
    if not path.exists():
        train_tokenizer().save_pretrained(path)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(path)
    return tokenizer


def load_model(folder: Path) -> tuple[Gemma4ForConditionalGeneration, PreTrainedTokenizerFast]:
    """The whole model with everything that is trained so far."""
    tokenizer = tokenizer_of(folder)
    model = checkpoint.new_model(tokenizer)
    for name, tower in (("vision", model.model.vision_tower), ("audio", model.model.audio_tower)):
        if (folder / f"{name}.pt").exists():
            tower.load_state_dict(torch.load(folder / f"{name}.pt")["tower"])
    path = folder / "language.pt"
    if path.exists():
        model.load_state_dict(torch.load(path), strict=False)
    return model, tokenizer


def train_language(
    folder: Path,
    seconds: float,
    rate: float = 2e-3,
    threads: int = 2,
    mix: dict[str, float] | None = None,
    thinned: float = 0.5,
    whole: float = 0.3,
) -> None:
    """``thinned`` is the share of conversations whose pictures come with a few of their tokens only.

    ``whole`` is the share of those with clips whose frames come with all of theirs, as they do when the model is used.
    """
    torch.set_num_threads(threads)
    first = join_processes()
    mix = mix or MIX
    model, tokenizer = load_model(folder)
    encoder, rng = Encoder(tokenizer), random.Random()
    train, held = load_media(folder)
    source = Source(train, encoder, mix, rng, thinned, whole)
    model.model.language_model.set_attn_implementation(attention.NAME)
    for layer in model.model.language_model.layers:
        layer.compile(dynamic=True)
    weights = [weight for name, weight in model.named_parameters() if "_tower" not in name]
    hidden = [weight for weight in model.model.language_model.layers.parameters() if weight.ndim == 2]
    schedule = Schedule(weights, rate, seconds, flat=0.1, hidden=hidden)
    losses: list[float] = []
    saved = 0.0
    while schedule.running():
        prompts = source.batch()
        with towers.halved():
            logits, wanted, rows = answer_logits(model, encoder, prompts)
        loss, each = loss_of(logits, wanted, rows, encoder)
        source.learn(prompts, each)
        schedule.step(loss)
        losses.append(loss.item())
        if first and schedule.steps % REPORT_EVERY == 0:
            worst = sorted(source.losses.items(), key=lambda item: -item[1])
            report = " ".join(f"{name} {loss:.2f}" for name, loss in worst[:16])
            print(
                f"language {schedule.steps} {schedule.elapsed:.0f}s loss {sum(losses) / len(losses):.4f} {report}",
                flush=True,
            )
            losses = []
        if first and schedule.elapsed > saved + SAVE_EVERY:
            save_language(model, folder)
            saved = schedule.elapsed
    if first:
        save_language(model, folder)
        print(f"  {score(model, encoder, held, mix, 40)}", flush=True)


def save_language(model: Gemma4ForConditionalGeneration, folder: Path) -> None:
    weights = {name: value for name, value in model.state_dict().items() if "_tower" not in name}
    torch.save(weights, folder / "language.pt")


def unpack(folder: Path, shipped: Path) -> None:
    """Make the shipped checkpoint the training state of ``folder``, to go on from where it was left."""
    folder.mkdir(parents=True, exist_ok=True)
    PreTrainedTokenizerFast.from_pretrained(shipped).save_pretrained(folder / "tokenizer")
    model = Gemma4ForConditionalGeneration.from_pretrained(shipped, dtype=torch.float32)
    torch.save({"tower": model.model.vision_tower.state_dict()}, folder / "vision.pt")
    torch.save({"tower": model.model.audio_tower.state_dict()}, folder / "audio.pt")
    save_language(model, folder)


def export(folder: Path, target: Path) -> None:
    """Write the checkpoint people load."""
    model, tokenizer = load_model(folder)
    checkpoint.save(model, checkpoint.new_processor(tokenizer), target)
