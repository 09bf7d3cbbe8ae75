"""Train the text model on what the finished towers make of the pools: answers to questions, nothing else."""

import random
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Gemma4ForConditionalGeneration, PreTrainedTokenizerFast

from tools.demo_model import attention, checkpoint, towers
from tools.demo_model.attention import Layout
from tools.demo_model.batches import MIX, Source
from tools.demo_model.features import load_media
from tools.demo_model.intents import YES_NO
from tools.demo_model.media import Pool
from tools.demo_model.prompts import IGNORED, Encoder, Prompt
from tools.demo_model.schedule import Schedule, join_processes
from tools.demo_model.vocabulary import train_tokenizer

REPORT_EVERY = 20
VERDICT = 4.0  # how much a verdict token counts
SAVE_EVERY = 240  # seconds


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


def loss_of(
    logits: Tensor, wanted: Tensor, rows: Tensor, supposed: Tensor, encoder: Encoder
) -> tuple[Tensor, list[float]]:
    """The loss to reduce, and the largest loss of a token of every part: how likely the answer is to be wrong.

    Cross entropy in which an answer counts by the square root of its length, lest long ones drown the others, and the
    one token that compares two facts, or repeats what was asked, for several. ``supposed`` is bool [parts].
    """
    count = torch.bincount(rows, minlength=len(supposed)).clamp(min=1).float()
    verdict = torch.isin(wanted, torch.tensor(encoder.verdicts)) | supposed[rows]
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
        supposed = [part.supposed for prompt in prompts for part in (prompt.stem, *prompt.branches)]
        loss, each = loss_of(logits, wanted, rows, torch.tensor(supposed), encoder)
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


def average(folder: Path, others: list[Path]) -> None:
    """Replace the weights by the mean of theirs and those of other runs that went on from the same start."""
    states = [torch.load(path) for path in (folder / "language.pt", *others)]
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    torch.save(mean, folder / "language.pt")


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
