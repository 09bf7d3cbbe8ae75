"""What lies in a checkpoint's files, by their headers: names, shapes and sizes, without reading a weight."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import UnsupportedModel
from .weights import AGAIN, weight_files

LONGEST = 100_000_000  # bytes of one header, as safetensors itself limits it


@dataclass(frozen=True, slots=True)
class Stored:
    """One weight in a file. ``dtype`` is safetensors' name (``BF16``), ``size`` bytes."""

    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def read_headers(folder: Path) -> dict[str, Stored]:
    """Every weight of a checkpoint by its name in the files."""
    return {name: stored for file in weight_files(folder) for name, stored in read_header(file).items()}


def read_header(file: Path) -> dict[str, Stored]:
    """The weights of one file: eight bytes with the header's length, then JSON with types, shapes and places.

    Raises ``UnsupportedModel`` for a file that is no safetensors file or does not hold what its header says.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, LONGEST)))
        header.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        missing = 8 + length + max(ends, default=0) - file.stat().st_size
        found = {
            name: Stored(entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
            for name, entry in header.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnsupportedModel(
            f"Loading {file.name} failed: it is not a safetensors file, or is damaged.",
            AGAIN,
        ) from error
    if missing > 0:
        raise UnsupportedModel(f"{file.name} is cut short: its last {missing:,} bytes are missing.", AGAIN)
    return found
