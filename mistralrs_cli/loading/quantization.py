"""Fewer bits for the text decoder's weights: NF4 and LLM.int8 from bitsandbytes. Towers keep their precision."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, QuantizationError
from ..families import Family
from ..options import ModelOptions

if TYPE_CHECKING:
    import torch

NF4 = ("4", "nf4")
INT8 = ("8", "int8")


def requested(options: ModelOptions) -> str | None:
    """The quantization the user asked for, checked: ``"nf4"``, ``"int8"`` or ``None``.

    Raises ``OptionError`` for ``--quant`` together with ``--isq`` and ``QuantizationError`` for an unknown type.
    """
    if options.quant is not None and options.isq is not None:
        raise OptionError("--quant and --isq exclude each other.", "Keep one of them.")
    name = options.quant if options.quant is not None else options.isq
    if name is None:
        return None
    if name.lower() in NF4:
        return "nf4"
    if name.lower() in INT8:
        return "int8"
    raise QuantizationError(f"There is no quantization {name} in this version.", "Use 4 (NF4) or 8 (LLM.int8).")


def quantization_config(kind: str | None, family: Family, dtype: torch.dtype) -> Any | None:
    """The ``quantization_config`` argument of ``from_pretrained``; towers, projectors and the head are spared."""
    if kind is None:
        return None
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # int8 tells of its float16 for every layer and token

    spared = ["lm_head"]
    if family.towers:
        spared.append(rf".*({'|'.join(family.towers)}).*")
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=spared)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=spared
    )


def leave_fast_path(model: Any) -> None:
    """Send 4-bit layers whose shape the AVX512 kernel of bitsandbytes asserts on through its general path."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.out_features % 32 or module.in_features % 64):
            module.support_avx512bf16_for_cpu = False
