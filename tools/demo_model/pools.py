"""Pools of drawn media on disk: pictures and clip frames as patches, sounds as log-mel features, with their labels."""

import io
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.demo_model import checkpoint
from tools.demo_model.clips import Clip, draw_clip
from tools.demo_model.labels import scene_labels, token_labels
from tools.demo_model.scenes import Scene, draw_scene, picture_size, render
from tools.demo_model.sounds import VOICES, Sound, draw_sound, sound_labels, speech_bank

WORKERS = 2
FRAMES = {16: 0.85, 32: 0.15}


@dataclass(frozen=True, slots=True)
class Patches:
    """One picture or frame as the image processor leaves it.

    ``pixels`` is uint8 (patches, 3 * PATCH ** 2); ``columns`` and ``rows`` count patches.
    """

    pixels: np.ndarray
    columns: int
    rows: int
    scene: Scene

    @property
    def tokens(self) -> int:
        return len(self.pixels) // checkpoint.POOLING**2


@dataclass(frozen=True, slots=True)
class Mel:
    """One sound as the feature extractor leaves it: float16 (frames of 10 ms, MEL_BINS)."""

    features: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    sound: Sound


@dataclass(frozen=True, slots=True)
class ClipPatches:
    clip: Clip
    frames: tuple[Patches, ...]


def wear(image: Image.Image, rng: random.Random) -> Image.Image:
    """What happens to real files: JPEG blocks and a little noise."""
    if rng.random() < 0.4:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=rng.randint(35, 95))
        image = Image.open(packed).convert("RGB")
    if rng.random() < 0.1:
        noise = np.random.default_rng(rng.randrange(2**31)).integers(-10, 11, (image.height, image.width, 1))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return image


def to_patches(images: list[Image.Image], scenes: list[Scene]) -> list[Patches]:
    """Run the real image processor."""
    batch = checkpoint.image_processor()(images, return_tensors="np")
    pixels = np.rint(np.asarray(batch["pixel_values"]) * 255).astype(np.uint8)
    result = []
    for values, positions, scene in zip(pixels, np.asarray(batch["image_position_ids"]), scenes, strict=True):
        used = positions[:, 0] >= 0
        columns, rows = (int(positions[used][:, axis].max()) + 1 for axis in (0, 1))
        result.append(Patches(values[used], columns, rows, scene))
    return result


def _pictures(seed: int, count: int) -> list[Patches]:
    rng = random.Random(seed)
    images, scenes = [], []
    for _ in range(count):
        width, height = picture_size(rng, 64, 420)
        scene = draw_scene(rng, width / height)
        oversample = 2 if rng.random() < 0.5 and max(width, height) < 400 else 1
        images.append(wear(render(scene, width, height, oversample), rng))
        scenes.append(scene)
    return to_patches(images, scenes)


def _clips(seed: int, count: int) -> list[ClipPatches]:
    rng = random.Random(seed)
    result = []
    for _ in range(count):
        width, height = picture_size(rng, 96, 300)
        clip = draw_clip(rng, width / height)
        frames = rng.choices(list(FRAMES), list(FRAMES.values()))[0]
        scenes = [clip.at(frame / (frames - 1)) for frame in range(frames)]
        worn = rng.random() < 0.5
        images = [render(scene, width, height, 2) for scene in scenes]
        images = [wear(image, rng) for image in images] if worn else images
        result.append(ClipPatches(clip, tuple(to_patches(images, scenes))))
    return result


def _sounds(seed: int, count: int, bank_path: Path) -> list[Mel]:
    rng = random.Random(seed)
    bank = speech_bank(bank_path)
    extractor = checkpoint.feature_extractor()
    result = []
    for _ in range(count):
        sound, samples, events = draw_sound(rng, bank)
        features = extractor([samples], return_tensors="np")
        mask = features["input_features_mask"][0]
        tokens = len(mask[::2][::2])
        values = features["input_features"][0].astype(np.float16)
        result.append(Mel(values, mask, sound_labels(events, tokens), sound))
    return result


def _write(kind: str, seed: int, count: int, folder: Path) -> str:
    import torch

    torch.set_num_threads(1)
    makers: dict[str, Callable[[int, int], list[Any]]] = {
        "pictures": _pictures,
        "clips": _clips,
        "sounds": partial(_sounds, bank_path=folder / "speech.npy"),
    }
    path = folder / f"{kind}-{seed}.pickle"
    items = makers[kind](seed, count)
    with path.open("wb") as file:
        pickle.dump(items, file, protocol=5)
    return f"{path.name}: {len(items)}"


def draw(folder: Path, kind: str, count: int, shard: int, first_seed: int) -> None:
    """Draw ``count`` media in shards of ``shard`` on WORKERS processes."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sounds":
        speech_bank(folder / "speech.npy", VOICES)
    seeds = range(first_seed, first_seed + -(-count // shard))
    with ProcessPoolExecutor(WORKERS) as pool:
        for line in pool.map(_write, *zip(*[(kind, seed, shard, folder) for seed in seeds], strict=True)):
            print(line, flush=True)


def load(folder: Path, kind: str) -> list[Any]:
    """Every medium of a kind drawn into ``folder``."""
    items: list[Any] = []
    for path in sorted(folder.glob(f"{kind}-*.pickle")):
        with path.open("rb") as file:
            items += pickle.load(file)
    return items


def picture_labels(item: Patches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local classes (tokens, 2), coverage (tokens, 16) and the classes of the whole picture."""
    pool = checkpoint.POOLING
    classes, coverage = token_labels(item.scene, item.rows // pool, item.columns // pool)
    return classes, coverage, scene_labels(item.scene)
