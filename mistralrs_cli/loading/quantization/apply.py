"""Quantizing while a model is loaded: the argument for the loader, and what is left to do afterwards."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import reason
from ...sizes import readable
from ..checkpoint import Checkpoint
from ..compat import is_offloaded
from ..headers import read_headers
from .kernel_copy import kernel_copy, open_kernel_copy, write_kernel_copy
from .layers import QuantizedModule
from .loader import Quantization, Quantizer
from .plan import Pin
from .prequantized import disable_avx512_kernel
from .request import QuantizationRequest
from .writer import WORTH_KEEPING, write_checkpoint


def quantization_for(
    request: QuantizationRequest | None, device: torch.device, pins: Sequence[Pin] = (), *, observable: bool = False
) -> Quantization | None:
    """The ``quantization_config`` argument of ``from_pretrained``, which copies it: values alone may be in it."""
    if request is None and not pins and not observable:
        return None
    return Quantization(
        None if request is None else request.type,
        experts_only=request is not None and request.experts_only,
        pins=pins,
        device=device,
        observable=observable,
    )


def describe(model: Any, checkpoint: Checkpoint, folder: Path) -> tuple[str, ...]:
    """A note on what became of the weights in ``folder``; none for a model that was not quantized here.

    It compares with the checkpoint's own size, which a CPU without kernels for its precision may have widened. A slice
    of a larger checkpoint is compared with its size as it would have been loaded.
    """
    quantizer = getattr(model, "hf_quantizer", None)
    if not isinstance(quantizer, Quantizer) or quantizer.pre_quantized or not quantizer.quantization_config.types:
        return ()
    now = weight_bytes(model)
    counted = Counter(quantizer.quantization_config.types.values())
    kinds = ", ".join(f"{count} in {kind}" for kind, count in counted.most_common())
    then = now + quantizer.saved
    if checkpoint.slice is None:
        then = sum(stored.size for stored in read_headers(folder).values())
    before, after = readable(then), readable(now)
    sizes = f"{before} became {after}" if before != after else f"{readable(quantizer.saved)} of {before} saved"
    return (f"weights quantized: {sizes} in memory ({kinds})",)


def cache_copy(model: Any, checkpoint: Checkpoint, source: Path, copy: Path, option: str) -> tuple[str, ...]:
    """Write the quantized weights to the cache, where they are large enough and the disk has room; returns notes."""
    weight = weight_bytes(model)
    if weight < WORTH_KEEPING:
        return ()
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(copy.parent).free
        if free < 2 * weight:
            return (f"the quantized weights are not kept: only {readable(free)} free in {copy.parent}",)
        size = write_checkpoint(model, checkpoint, source, copy, option)
    except OSError as error:
        return (f"the quantized weights are not kept: {reason(error)}",)
    return (f"they are kept for the next {option}, {readable(size)} in {copy}; delete the folder to free them",)


def finalize(model: Any, folder: Path | None = None) -> tuple[str, ...]:
    """Rearrange the quantized weights of a loaded model for the kernels of its device; returns notes.

    What is made for a quantized checkpoint in ``folder`` is kept for its next load.
    """
    quantizer = getattr(model, "hf_quantizer", None)
    if isinstance(quantizer, Quantizer):
        return rearrange(model, folder)
    if quantizer is not None and quantizer.quantization_config.quant_method == "bitsandbytes":
        disable_avx512_kernel(model)
    return ()


def rearrange(model: nn.Module, folder: Path | None = None) -> tuple[str, ...]:
    """Put every quantized weight in the order that its device multiplies fastest; what is offloaded stays."""
    file = None if folder is None else kernel_copy(folder)
    kept = None if file is None else open_kernel_copy(file)
    made: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, QuantizedModule) and not is_offloaded(module):
            for name, tensor in module.rearrange(kept or {}, path).items():
                made[name] = tensor
    size = sum(tensor.numel() * tensor.element_size() for tensor in made.values())
    if file is None or made.keys() <= (kept or {}).keys() or size < WORTH_KEEPING:
        return ()
    if not write_kernel_copy({**(kept or {}), **made}, file):  # some layers may have been elsewhere the last time
        return ()
    return (f"the weights are kept in this CPU's order for the next load, {readable(size)} in {file}",)


def weight_bytes(model: nn.Module) -> int:
    """What a model's parameters and buffers weigh."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
