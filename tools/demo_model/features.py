"""What the finished towers make of the pools: computed once, and read by every run of the language phase."""

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tools.demo_model import pools, towers
from tools.demo_model.media import Medium, Pool

HELD_BACK = 40  # one medium in so many is only for the score below


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
