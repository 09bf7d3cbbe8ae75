"""What a calibration has done so far, on disk after every piece, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..folders import cache_folder
from .sums import Sums

if TYPE_CHECKING:
    from torch import Tensor

LAYOUT = 1
"""Raised when what is measured changes, so that what an older version left is not gone on with."""


@dataclass
class Progress:
    """A folder for one calibration; ``pieces`` are done, ``sums`` is what they gave."""

    folder: Path
    pieces: int
    sums: Sums

    @staticmethod
    def of(facts: Mapping[str, Any]) -> Progress:
        """The calibration that ``facts`` describe: a new one, or as far as an earlier run came with it."""
        text = json.dumps({"layout": LAYOUT, **facts}, sort_keys=True, default=str)
        folder = cache_folder() / "calibration" / hashlib.sha256(text.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        found = read_tensors(folder / "sums.safetensors")
        if not found:
            return Progress(folder, 0, Sums())
        return Progress(folder, int(found.pop("pieces")), Sums.of(found))

    def done(self) -> None:
        """One more piece is done."""
        import torch

        self.pieces += 1
        write_tensors(self.folder / "sums.safetensors", {**self.sums.tensors(), "pieces": torch.tensor(self.pieces)})

    def reference(self, index: int) -> dict[str, Tensor]:
        """What the whole model said of a held-out piece; empty where it was not asked yet."""
        return read_tensors(self.folder / f"held-out-{index}.safetensors")

    def keep_reference(self, index: int, tensors: dict[str, Tensor]) -> None:
        """Keep it."""
        write_tensors(self.folder / f"held-out-{index}.safetensors", tensors)

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file; none where it is not there or damaged: then they are made again."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(file.read_bytes()))
    except (OSError, SafetensorError):
        return {}


def write_tensors(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write a file that is whole or not there."""
    from safetensors.torch import save_file

    draft = file.with_suffix(f".{os.getpid()}")
    save_file(tensors, draft)
    draft.replace(file)
