"""Where the model runs, and in what precision."""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..folders import cache_folder
from ..options import ModelOptions
from .compat import has_bfloat16
from .headers import read_headers
from .memory import loaded_size
from .weights import weight_files

if TYPE_CHECKING:
    import torch

SMALL_WEIGHTS = 1 << 30
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what the container this runs in may use."""


def choose_device(options: ModelOptions) -> torch.device:
    """CUDA, then Apple's Metal, then the CPU; ``--cpu`` takes the CPU."""
    import torch

    if not options.cpu:
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        if torch.backends.mps.is_available():
            return torch.device("mps")
    return torch.device("cpu")


def accelerators(options: ModelOptions) -> list[str]:
    """The devices that compute beside the CPU, in order: ``cuda:0``, ``cuda:1``, … or ``mps``; none with ``--cpu``."""
    import torch

    if options.cpu:
        return []
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else []


def free_memory(device: str) -> int:
    """Bytes that a device (``cuda:0``, ``mps``, ``cpu``) has left; for ``disk`` those on the disk of ``offload_root``.

    A container's limit counts for ``cpu``.
    """
    import psutil
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    if device == "disk":
        return shutil.disk_usage(offload_root()).free
    return min(int(psutil.virtual_memory().available), container_memory())


def container_memory() -> int:
    """Bytes left within the limit of the container this runs in, if it has one; cached files count as free."""
    try:
        most, used, parts = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
        cached = int(dict(line.split() for line in parts.splitlines())["inactive_file"])
        return int(most) - int(used) + cached
    except (OSError, ValueError, KeyError):  # no such limit: "max" is not a number
        return sys.maxsize


def offload_root() -> Path:
    """Where weights that no device holds are kept while a model runs: not in the temporary folder, often memory."""
    folder = cache_folder() / "offload"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class OffloadFolder:
    """A folder for one model's weights, removed when the last reference to this goes."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(dir=offload_root())
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def choose_dtype(options: ModelOptions, device: torch.device, folder: Path) -> torch.dtype:
    """The precision of the weights that are not quantized.

    ``auto`` is bfloat16; float16 on CUDA cards without it; float32 on CPUs without it if that takes at most half of
    the free memory and, on any CPU, for checkpoints under 1 GiB, where it costs little and joined answers equal single
    ones exactly.
    """
    import torch

    match options.dtype:
        case "bf16":
            return torch.bfloat16
        case "f16":
            return torch.float16
        case "f32":
            return torch.float32
        case "auto":
            if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.float16
            if device.type != "cpu":
                return torch.bfloat16
            size = sum(file.stat().st_size for file in weight_files(folder))
            if size < SMALL_WEIGHTS:
                return torch.float32
            wide = sum(loaded_size(entry, 4, None, dequantized_on_load=True) for entry in read_headers(folder).values())
            affordable = not has_bfloat16() and wide <= free_memory("cpu") / 2
            return torch.float32 if affordable else torch.bfloat16
    raise OptionError(f"--dtype {options.dtype} is not a precision.", "Use auto, bf16, f16 or f32.")


def limit_threads(options: ModelOptions) -> None:
    """Apply ``--threads`` to torch; without it and ``OMP_NUM_THREADS``, no more threads than a container has cores."""
    import torch

    if options.threads is not None:
        if options.threads < 1:
            raise OptionError("--threads must be at least 1.", "Leave it out to use every core.")
        torch.set_num_threads(options.threads)
    elif "OMP_NUM_THREADS" not in os.environ and container_cores() < torch.get_num_threads():
        torch.set_num_threads(container_cores())


def container_cores() -> int:
    """Cores' worth of time that the container this runs in may use, rounded up; its limit is unknown to OpenMP."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such limit: "max" is not a number
        return sys.maxsize
