"""Train the text model on what the finished towers make of the pools: answers to questions, nothing else."""

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from transformers import Gemma4ForConditionalGeneration, PreTrainedTokenizerFast

from tools.demo_model import checkpoint, pools, towers
from tools.demo_model.conversations import HEAR, SEE, YES_NO, Conversation, Medium, Pool, Talker
from tools.demo_model.prompts import IGNORED, Encoder, Prompt, cut, pad
from tools.demo_model.schedule import Schedule
from tools.demo_model.vocabulary import train_tokenizer

HELD_BACK = 40  # one medium in so many is only for the score below
TOKENS_A_STEP = 4500
LONG = 10  # frames: with all their tokens such prompts would make the score below slow
REPORT_EVERY = 100
MIX = {
    "text": 2.5,
    "picture": 6.0,
    "sound": 4.0,
    "clip": 2.6,
    "pictures": 4.0,
    "picture+sound": 3.3,
    "picture+clip": 1.2,
    "sound+clip": 0.3,
    "clips": 0.3,
    "follow-up": 3.0,
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
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            tokens = towers.encode_pictures(tower, filled)
        yield from (own.half() for own in tokens[: len(batch)])


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


def frames_of(conversation: Conversation) -> int:
    """How many frames its clips have together."""
    return sum(len(m.data) for turn in conversation.turns for m in turn.media if m.kind == "video")


class Source:
    """Endless training prompts: conversations with fresh cuts of the clips, in batches of similar length."""

    def __init__(
        self, pool: Pool, encoder: Encoder, mix: dict[str, float], rng: random.Random, thinned: float = 0.0
    ) -> None:
        self.pool, self.encoder, self.rng, self.thinned = pool, encoder, rng, thinned
        self.talker = Talker(pool, rng)
        self.uncut = pool.clips
        self.mix = mix
        self.ready: list[list[Prompt]] = []

    def conversation(self, category: str) -> Conversation:
        if self.uncut and ("clip" in category or category == "follow-up"):
            self.pool.clips = [cut(medium, self.rng) for medium in self.rng.sample(self.uncut, 2)]
        return self.longer(category, self.talker.talk(category))

    def longer(self, category: str, conversation: Conversation) -> Conversation:
        """More questions about the same media: another answer to learn from costs little once the media are there."""
        talker, rng = self.talker, self.rng
        media = {medium.kind: medium for turn in conversation.turns for medium in turn.media}
        pictures = tuple(medium for turn in conversation.turns for medium in turn.media)
        for _ in range(rng.choice((0, 1, 2, 4))):
            match category:
                case "picture" | "sound" | "clip":
                    exchange = talker.about(pictures[0])
                case "pictures" if len(pictures) == 2 and rng.random() < 0.5:
                    exchange = talker.change(rng.choice(("change", "change", "changed")), *pictures)
                case "pictures":
                    exchange = talker.several(rng.choice(("nth", "nth", "pictures")), pictures)
                case "picture+sound":
                    asks = (
                        lambda: talker.meaning(lambda: talker.about(media["image"], "picture"), SEE),
                        lambda: talker.meaning(lambda: talker.about(media["audio"], "sound"), HEAR),
                        lambda: talker.seen_and_heard(media["image"], media["audio"]),
                    )
                    exchange = rng.choice(asks)()
                case _:
                    return conversation
            conversation = talker.then(conversation, exchange)
        return conversation

    def prompt(self, category: str) -> Prompt:
        """A prompt; frames keep some or all of their tokens, so that all of them are nothing new to the model."""
        conversation = self.conversation(category)
        if frames := frames_of(conversation):
            most = self.rng.choice((8, 16, 24, 48, 64) if frames <= 16 else (6, 10, 16, 24, 40))
            most = min(most, 10) if frames > 40 else most
            return self.encoder.prompt(conversation, self.rng, True, (max(3, most - 3), most))
        return self.encoder.prompt(conversation, self.rng, self.rng.random() < self.thinned)

    def batch(self) -> list[Prompt]:
        if not self.ready:
            categories = self.rng.choices(list(self.mix), list(self.mix.values()), k=260)
            prompts = [self.prompt(category) for category in categories]
            prompts.sort(key=lambda prompt: len(prompt.ids))
            self.ready = [[]]
            for prompt in prompts:
                if self.ready[-1] and len(prompt.ids) * (len(self.ready[-1]) + 1) > TOKENS_A_STEP:
                    self.ready.append([])
                self.ready[-1].append(prompt)
            self.rng.shuffle(self.ready)
        return self.ready.pop()


def answer_logits(
    model: Gemma4ForConditionalGeneration, encoder: Encoder, prompts: list[Prompt]
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits before every token to learn (tokens, vocabulary), these tokens, and the row each belongs to."""
    ids, labels = pad(prompts, encoder.filler)
    seen = (ids == encoder.image) | (ids == encoder.video)
    heard = ids == encoder.audio
    hidden = model.get_input_embeddings()(torch.where(seen | heard, 0, ids))
    for mask, embed, features in (
        (seen, model.model.embed_vision, [own for prompt in prompts for own in prompt.seen]),
        (heard, model.model.embed_audio, [own for prompt in prompts for own in prompt.heard]),
    ):
        if features:
            embedded = embed(torch.cat([own.float() for own in features])).to(hidden.dtype)
            hidden = hidden.masked_scatter(mask[..., None], embedded)
    hidden = model.model.language_model(inputs_embeds=hidden, use_cache=False).last_hidden_state
    wanted = labels[:, 1:]
    asked = wanted != IGNORED
    rows = torch.arange(len(prompts))[:, None].expand_as(wanted)
    return model.lm_head(hidden[:, :-1][asked]).float(), wanted[asked], rows[asked]


def loss_of(logits: Tensor, wanted: Tensor, rows: Tensor) -> Tensor:
    """Cross entropy in which an answer counts by the square root of its length, lest long ones drown the others."""
    weight = torch.bincount(rows).clamp(min=1).float().rsqrt()[rows]
    return (F.cross_entropy(logits, wanted, reduction="none") * weight).sum() / weight.sum()


@torch.no_grad()
def score(
    model: Gemma4ForConditionalGeneration, encoder: Encoder, held: Pool, mix: dict[str, float], count: int
) -> str:
    """Share of last answers of which every token is the likeliest one, with wording kept out of training."""
    right: dict[str, list[bool]] = defaultdict(list)
    rng = random.Random(7)
    uncut = held.clips
    asked: list[tuple[Conversation, Prompt]] = []
    for category in mix:
        talker = Talker(held, rng, held_out=True)
        for _ in range(count):
            if uncut:
                held.clips = [cut(medium, rng) for medium in rng.sample(uncut, 2)]
            conversation = talker.talk(category)
            prompt = encoder.prompt(conversation, rng, frames_of(conversation) > LONG)
            last = len(prompt.labels) - 1 - prompt.labels[::-1].index(encoder.end)
            first = max(i for i in range(last) if prompt.labels[i] == IGNORED)
            labels = [IGNORED] * (first + 1) + prompt.labels[first + 1 :]
            asked.append((conversation, replace(prompt, labels=labels)))
    asked.sort(key=lambda pair: len(pair[1].ids))
    for start in range(0, len(asked), 4):
        batch = asked[start : start + 4]
        with torch.autocast("cpu", torch.bfloat16):
            logits, wanted, rows = answer_logits(model, encoder, [prompt for _, prompt in batch])
        for row, (conversation, _) in enumerate(batch):
            hit = bool((logits.argmax(-1) == wanted)[rows == row].all())
            right[conversation.category].append(hit)
            if conversation.intent in YES_NO:
                right["yes/no"].append(hit)
            right[f"{conversation.category}:{conversation.intent}"].append(hit)
    held.clips = uncut
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
    thinned: float = 0.8,
) -> None:
    """``thinned`` is the share of conversations whose pictures come with a few of their tokens only."""
    torch.set_num_threads(threads)
    if "RANK" in os.environ:  # started by torch.distributed.run: every process computes a part of each step
        distributed.init_process_group("gloo")
    mix = mix or MIX
    model, tokenizer = load_model(folder)
    encoder, rng = Encoder(tokenizer), random.Random()
    train, held = load_media(folder)
    source = Source(train, encoder, mix, rng, thinned)
    # The fused attention kernel is slow on a CPU for narrow heads: plain matrix products take half the time.
    model.model.language_model.set_attn_implementation("eager")
    for layer in model.model.language_model.layers:
        layer.compile(dynamic=True)
    weights = [weight for name, weight in model.named_parameters() if "_tower" not in name]
    schedule = Schedule(weights, rate, seconds, flat=0.15)
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    losses: list[float] = []
    scored = 0.0
    while schedule.running():
        with torch.autocast("cpu", torch.bfloat16):
            logits, wanted, rows = answer_logits(model, encoder, source.batch())
        loss = loss_of(logits, wanted, rows)
        schedule.step(loss)
        losses.append(loss.item())
        if first and schedule.steps % REPORT_EVERY == 0:
            print(f"language {schedule.steps} {schedule.elapsed:.0f}s loss {sum(losses) / len(losses):.4f}", flush=True)
            losses = []
        if first and schedule.elapsed > scored + 240:
            save_language(model, folder)
            print(f"  {score(model, encoder, held, mix, 20)}", flush=True)
            scored = schedule.elapsed
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
