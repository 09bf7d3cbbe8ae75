"""Where the model runs, and in what precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..options import ModelOptions

if TYPE_CHECKING:
    import torch

SMALL_WEIGHTS = 1 << 30


def choose_device(options: ModelOptions) -> torch.device:
    """CUDA, then Apple's Metal, then the CPU; ``--cpu`` takes the CPU."""
    import torch

    if not options.cpu:
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        if torch.backends.mps.is_available():
            return torch.device("mps")
    return torch.device("cpu")


def choose_dtype(options: ModelOptions, device: torch.device, folder: Path) -> torch.dtype:
    """The precision of the weights that are not quantized.

    ``auto`` is bfloat16; float16 on CUDA cards without it; float32 on CPUs without it and, on any CPU, for checkpoints
    under 1 GiB, where it costs little and joined answers equal single ones exactly.
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
            small = sum(file.stat().st_size for file in folder.glob("*.safetensors")) < SMALL_WEIGHTS
            return torch.bfloat16 if has_bfloat16() and not small else torch.float32
    raise OptionError(f"--dtype {options.dtype} is not a precision.", "Use auto, bf16, f16 or f32.")


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware."""
    import torch

    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def limit_threads(options: ModelOptions) -> None:
    """Apply ``--threads`` to torch."""
    import torch

    if options.threads is not None:
        if options.threads < 1:
            raise OptionError("--threads must be at least 1.", "Leave it out to use every core.")
        torch.set_num_threads(options.threads)
