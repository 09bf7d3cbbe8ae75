"""How large the weights of a checkpoint are on the disk."""

from __future__ import annotations

from ..errors import UnsupportedModel
from .checkpoint import Checkpoint
from .weights import weight_files


def weights_size(checkpoint: Checkpoint) -> int | None:
    """Bytes of its weight files; ``None`` while they are still on the hub."""
    try:
        return sum(path.stat().st_size for path in weight_files(checkpoint.folder))
    except (OSError, UnsupportedModel):
        return None
