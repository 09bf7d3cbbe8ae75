"""Train the vision and the audio tower on labels for every soft token; no text is needed for that."""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.gemma4.modeling_gemma4 import Gemma4AudioModel, Gemma4VisionModel

from tools.demo_model import checkpoint, pools, sounds
from tools.demo_model.labels import GLOBAL, LOCAL, UNKNOWN, scene_labels
from tools.demo_model.pools import Mel, Patches
from tools.demo_model.schedule import Schedule, join_processes

TOKENS_ASKED = 8
REPORT_EVERY = 100
WEIGHTS = {"shape": 1.0, "color": 0.5, "count": 1.5, "second_shape": 0.5, "word": 1.5}
MIX = {"": 6, "count": 6, "text": 8}  # pictures of a batch; "" is any kind
FRAMES = 4
BATCH = sum(MIX.values()) + FRAMES


def halved() -> torch.autocast:
    """Matrix products in bfloat16 where the processor has instructions for them; elsewhere they would be slower."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


def normalise(features: Tensor) -> Tensor:
    """Root-mean-square normalisation, as the model's embedder applies it before its projection."""
    return features * torch.rsqrt(features.pow(2).mean(-1, keepdim=True) + 1e-6)


def picture_batch(items: list[Patches]) -> tuple[Tensor, Tensor]:
    """Pixels (batch, PATCHES, 3 * PATCH ** 2) in 0..1 and positions (batch, PATCHES, 2) with -1 for padding."""
    pixels = np.zeros((len(items), checkpoint.PATCHES, items[0].pixels.shape[1]), np.uint8)
    positions = np.full((len(items), checkpoint.PATCHES, 2), -1, np.int64)
    for i, item in enumerate(items):
        count = len(item.pixels)
        pixels[i, :count] = item.pixels
        down, across = np.divmod(np.arange(count), item.columns)
        positions[i, :count, 0], positions[i, :count, 1] = across, down
    return torch.from_numpy(pixels).float() * (1 / 255), torch.from_numpy(positions)


def encode_pictures(tower: Gemma4VisionModel, items: list[Patches]) -> list[Tensor]:
    """The normalised soft tokens (tokens, 128) of each picture."""
    pixels, positions = picture_batch(items)
    hidden = tower(pixel_values=pixels, pixel_position_ids=positions).last_hidden_state
    return list(normalise(hidden.float()).split([item.tokens for item in items]))


class PictureHeads(nn.Module):
    """What every soft token must tell: its own shape, colour and coverage, and the labels of the whole picture."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.local = nn.Linear(width, sum(LOCAL.values()) + 16)
        self.whole = nn.Linear(width, sum(GLOBAL.values()))

    def loss(self, tokens: list[Tensor], items: list[Patches]) -> Tensor:
        labels = [pools.picture_labels(item) for item in items]
        local = self.local(torch.cat(tokens))
        classes = torch.from_numpy(np.concatenate([own for own, _, _ in labels])).long()
        coverage = torch.from_numpy(np.concatenate([share for _, share, _ in labels])).float()
        shapes, colors = LOCAL.values()
        loss = 2 * _classify(local[:, :shapes], classes[:, 0], 0.15)
        loss = loss + _classify(local[:, shapes : shapes + colors], classes[:, 1], 0.15)
        loss = loss + 4 * F.binary_cross_entropy_with_logits(local[:, shapes + colors :], coverage)
        asked = torch.cat([own[torch.randint(len(own), (TOKENS_ASKED,))] for own in tokens])
        whole = torch.from_numpy(np.stack([facts for _, _, facts in labels])).long()
        answers = self.whole(asked).split(list(GLOBAL.values()), -1)
        for name, logits, wanted in zip(GLOBAL, answers, whole.T, strict=True):
            wanted = wanted.repeat_interleave(TOKENS_ASKED)
            if (wanted >= 0).any():
                loss = loss + WEIGHTS.get(name, 0.25) * F.cross_entropy(logits, wanted, ignore_index=UNKNOWN)
        return loss

    def score(self, tokens: list[Tensor], items: list[Patches]) -> dict[str, list[bool]]:
        """Which labels the last token of each picture gets right."""
        answers = self.whole(torch.stack([own[-1] for own in tokens])).split(list(GLOBAL.values()), -1)
        right: dict[str, list[bool]] = {"local": []}
        for i, item in enumerate(items):
            wanted = torch.from_numpy(pools.picture_labels(item)[0][:, 0])
            found = self.local(tokens[i])[:, : LOCAL["shape"]].argmax(-1)
            right["local"] += (found == wanted)[wanted > 0].tolist()
            facts = scene_labels(item.scene)
            for name, logits, wanted in zip(GLOBAL, answers, facts, strict=True):
                if wanted >= 0:
                    right.setdefault(name.rstrip("01234"), []).append(int(logits[i].argmax()) == wanted)
        return right


def _classify(logits: Tensor, wanted: Tensor, background: float) -> Tensor:
    """Cross entropy in which class 0, by far the most frequent one, counts ``background`` only."""
    weight = torch.ones(logits.shape[-1])
    weight[0] = background
    return F.cross_entropy(logits, wanted, weight, ignore_index=-1)


def new_vision() -> Gemma4VisionModel:
    torch.manual_seed(1)
    tower = Gemma4VisionModel(checkpoint.vision_config())
    checkpoint.soften(tower)
    return tower


def new_audio() -> Gemma4AudioModel:
    torch.manual_seed(2)
    return Gemma4AudioModel(checkpoint.audio_config())


def report(name: str, schedule: Schedule, total: float, scores: str) -> None:
    loss = total / REPORT_EVERY
    print(f"{name} {schedule.steps} {schedule.elapsed:.0f}s loss {loss:.3f} {scores}", flush=True)


def train_vision(folder: Path, seconds: float, rate: float = 3e-3, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    tower, heads = new_vision(), PictureHeads()
    path = folder / "vision.pt"
    if path.exists():
        state = torch.load(path)
        tower.load_state_dict(state["tower"])
        if "heads" in state:  # a shipped checkpoint has none
            heads.load_state_dict(state["heads"])
    pictures: list[Patches] = pools.load(folder, "pictures")
    held, pictures = pictures[:600], pictures[600:]
    of_kind = {kind: [item for item in pictures if kind in ("", item.scene.kind)] for kind in MIX}
    tower.encoder.compile()
    frames = [frame for clip in pools.load(folder, "clips")[:1000] for frame in random.sample(clip.frames, 4)]
    hidden = [weight for weight in tower.encoder.parameters() if weight.ndim == 2]
    schedule = Schedule([*tower.parameters(), *heads.parameters()], rate, seconds, hidden=hidden)
    first = join_processes()
    total = 0.0
    while schedule.running():
        items = [item for kind, count in MIX.items() for item in random.sample(of_kind[kind], count)]
        items += random.sample(frames, FRAMES)
        with halved():
            tokens = encode_pictures(tower, items)
        loss = heads.loss(tokens, items)
        schedule.step(loss)
        total += loss.item()
        if first and schedule.steps % REPORT_EVERY == 0:
            right: dict[str, list[bool]] = {}
            for _ in range(8):
                sample = random.sample(held, BATCH)
                with torch.no_grad(), halved():
                    tokens = encode_pictures(tower, sample)
                for name, hits in heads.score(tokens, sample).items():
                    right.setdefault(name, []).extend(hits)
            scores = " ".join(f"{name} {np.mean(hits):.3f}" for name, hits in right.items())
            report("vision", schedule, total, scores)
            total = 0.0
            torch.save({"tower": tower.state_dict(), "heads": heads.state_dict()}, path)
    if first:
        torch.save({"tower": tower.state_dict(), "heads": heads.state_dict()}, path)


def encode_sounds(tower: Gemma4AudioModel, items: list[Mel]) -> tuple[Tensor, Tensor]:
    """Normalised soft tokens (batch, tokens, 192) and which of them are no padding."""
    longest = max(len(item.mask) for item in items)
    features = np.zeros((len(items), longest, checkpoint.MEL_BINS), np.float32)
    mask = np.zeros((len(items), longest), bool)
    for i, item in enumerate(items):
        features[i, : len(item.mask)] = item.features
        mask[i, : len(item.mask)] = item.mask
    output = tower(torch.from_numpy(features), torch.from_numpy(mask))
    return normalise(output.last_hidden_state.float()), output.attention_mask


class SoundHeads(nn.Module):
    """What a soft token must tell: the event that ends here, how many there were, and the first four."""

    sizes = (len(sounds.CLASSES), sounds.MOST_EVENTS + 1, *[len(sounds.CLASSES)] * sounds.SLOTS)

    def __init__(self, width: int = 192) -> None:
        super().__init__()
        self.all = nn.Linear(width, sum(self.sizes))

    def split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = self.all(tokens).split(list(self.sizes), -1)
        return parts

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """``labels`` is (batch, tokens, columns) with -1 where nothing is asked."""
        losses = [
            _classify(logits.flatten(0, 1), labels[..., column].flatten(), 0.3)
            for column, logits in enumerate(self.split(tokens))
        ]
        return losses[0] + 0.7 * losses[1] + 0.3 * torch.stack(losses[2:]).sum()


def sound_batch_labels(items: list[Mel], mask: Tensor) -> Tensor:
    labels = np.full((*mask.shape, 2 + sounds.SLOTS), sounds.UNKNOWN, np.int64)
    for i, item in enumerate(items):
        count = min(len(item.labels), labels.shape[1])
        labels[i, :count] = item.labels[:count]
    labels[~mask.numpy()] = sounds.UNKNOWN
    return torch.from_numpy(labels)


def train_audio(folder: Path, seconds: float, rate: float = 2e-3, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    tower, heads = new_audio(), SoundHeads()
    path = folder / "audio.pt"
    if path.exists():
        state = torch.load(path)
        tower.load_state_dict(state["tower"])
        if "heads" in state:  # a shipped checkpoint has none
            heads.load_state_dict(state["heads"])
    items: list[Mel] = pools.load(folder, "sounds")
    held, items = items[:400], sorted(items[400:], key=lambda item: len(item.mask))
    schedule = Schedule([*tower.parameters(), *heads.parameters()], rate, seconds)
    total = 0.0
    while schedule.running():
        start = random.randrange(len(items) - 512)
        batch = random.sample(items[start : start + 512], 32)
        with halved():
            tokens, mask = encode_sounds(tower, batch)
        loss = heads.loss(tokens, sound_batch_labels(batch, mask))
        schedule.step(loss)
        total += loss.item()
        if schedule.steps % REPORT_EVERY == 0:
            scores = " ".join(f"{name} {np.mean(hits):.3f}" for name, hits in score_sounds(tower, heads, held).items())
            report("audio", schedule, total, scores)
            total = 0.0
            torch.save({"tower": tower.state_dict(), "heads": heads.state_dict()}, path)
    torch.save({"tower": tower.state_dict(), "heads": heads.state_dict()}, path)


@torch.no_grad()
def score_sounds(tower: Gemma4AudioModel, heads: SoundHeads, held: list[Mel]) -> dict[str, list[float]]:
    """Share of the event labels right by kind of sound, and of the counts and the four slots at the last token."""
    right: dict[str, list[float]] = {}
    for item in random.sample(held, 100):
        tokens, mask = encode_sounds(tower, [item])
        labels = sound_batch_labels([item], mask)[0]
        answers = [logits[0].argmax(-1) for logits in heads.split(tokens)]
        asked = labels[:, 0] > 0 if (labels[:, 0] > 0).any() else labels[:, 0] >= 0
        right.setdefault(item.sound.kind, []).append(float((answers[0] == labels[:, 0])[asked].float().mean()))
        right.setdefault("count", []).append(float(answers[1][-1] == labels[-1, 1]))
        slots = [float(answer[-1] == wanted) for answer, wanted in zip(answers[2:], labels[-1, 2:], strict=True)]
        right.setdefault("slots", []).append(min(slots))
    return right
