"""Quantized weights in the order of this CPU's kernels, kept on disk: later loads map them instead of making them.

Of a checkpoint there is one such file for a CPU: it replaces those that other versions of libraries, or of its files,
have left.

A checkpoint holds weights in an order that is the same on every machine. Putting them in the order that a kernel reads
takes seconds, so what was made for this CPU and version of PyTorch is kept: with a copy in the cache of quantized
models in its own folder, for other checkpoints in ``kernels`` in the cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from ...folders import cache_folder
from ..weights import weight_files
from .aligned import save_aligned
from .kernels import cpu, machine
from .tiles import block_rows
from .writer import copies_folder

ORDER = 1
"""Raised when the order of a kernel is made in another way, so that files by older versions are not read."""


def kernel_copy(folder: Path) -> Path:
    """Where the weights of the checkpoint in ``folder`` are kept in this CPU's order, if they are."""
    files = [file.resolve() for file in weight_files(folder)]
    facts = {
        "order": ORDER,
        "rows": block_rows(),
        "machine": machine(),
        "bitsandbytes": version("bitsandbytes"),  # in whose order 4-bit floats are
        "files": [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files],
    }
    place = digest([str(folder.resolve()), cpu()])
    if folder.parent == copies_folder():
        return folder / f"kernels-{place}-{digest(facts)}.safetensors"
    return cache_folder() / "kernels" / f"{folder.name[-80:]}-{place}-{digest(facts)}.safetensors"


def digest(facts: Any) -> str:
    """A name for facts."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def open_kernel_copy(file: Path) -> dict[str, Tensor] | None:
    """The tensors of a kept file, mapped; ``None`` where there is none, or a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


def write_kernel_copy(tensors: Mapping[str, Tensor], file: Path) -> bool:
    """Keep tensors for the next load, and whether they are: not where the disk is nearly full or cannot be written."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if shutil.disk_usage(file.parent).free < 2 * size:
            return False
        save_aligned(tensors, draft)
        draft.replace(file)
        remove_others(file)
    except OSError:
        return False
    finally:  # after Ctrl-C as well
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return True


def remove_others(file: Path) -> None:
    """Remove what was kept of the same checkpoint for the same CPU before. Processes that have it mapped keep it."""
    place = file.name.rpartition("-")[0] + "-"
    for other in file.parent.iterdir():
        if other != file and other.name.startswith(place) and other.suffix == file.suffix:
            with suppress(OSError):  # another process was faster, or a system that keeps what is mapped
                other.unlink()
