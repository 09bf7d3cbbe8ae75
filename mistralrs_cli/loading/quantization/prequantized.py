"""Checkpoints that come quantized: what they say about it, and whether it can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...errors import QuantizationError
from ..translation import missing_package
from .request import QuantizationRequest
from .types import KINDS, LAYOUT, QuantType

OURS = "mistralrs"


def stored_quantization(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What ``config.json`` says about quantized weights, at its top or for the text decoder."""
    found = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    return found if isinstance(found, dict) else None


def method(stored: Mapping[str, Any]) -> str:
    """Which program quantized the weights."""
    if stored.get("load_in_4bit") or stored.get("load_in_8bit"):
        return "bitsandbytes"
    return str(stored.get("quant_method") or "an unknown method")


def bits(stored: Mapping[str, Any]) -> int | None:
    """How many bits most weights have, if the configuration says."""
    if method(stored) == OURS:
        kinds = Counter(stored.get("types", {}).values())
        return QuantType(kinds.most_common(1)[0][0]).bits if kinds else None
    if stored.get("load_in_4bit"):
        return 4
    if stored.get("load_in_8bit"):
        return 8
    found = stored.get("bits")
    return found if isinstance(found, int) else None


def require_known(name: str, stored: Mapping[str, Any]) -> None:
    """Raise ``QuantizationError`` for one of our checkpoints with formats that came after this version."""
    version, types = stored.get("version", 1), stored.get("types")
    kinds = set(types.values()) if isinstance(types, dict) else {"nothing"}
    if isinstance(version, int) and version <= LAYOUT and kinds <= KINDS:
        return
    unknown = ", ".join(sorted(map(str, kinds - KINDS))) or f"formats of version {version}, this one reads {LAYOUT}"
    raise QuantizationError(
        f"{name} was written by a newer version of mistralrs ({unknown}).",
        "Upgrade mistralrs, or quantize the original checkpoint again with this version.",
    )


def require_readable(name: str, stored: Mapping[str, Any], request: QuantizationRequest | None) -> None:
    """Refuse a quantized checkpoint that asks for what is not here, or that is not what the user wants.

    Raises ``QuantizationError``.
    """
    how = method(stored)
    if how == OURS:
        require_known(name, stored)
    width = bits(stored)
    said = f"{name} is already quantized ({f'{width} bits, ' if width else ''}{how})"
    if request is not None and not (
        request.keep and not request.experts_only and request.type and request.type.bits == width
    ):
        raise QuantizationError(
            f"{said}; it cannot be re-quantized{' to ' + str(request.type.bits) + ' bits' if request.type else ''}.",
            f"Leave out {request.option}, or name the original checkpoint with -m.",
        )
    if how == OURS:
        return
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

    try:
        known = how == "bitsandbytes" or how in AUTO_QUANTIZER_MAPPING
        if known:
            AutoHfQuantizer.from_config(dict(stored)).validate_environment(device_map={"": "cpu"})
    except ImportError as error:
        package = missing_package(error)
        raise QuantizationError(
            f"{said}, which needs a package that is not installed{'' if package is None else f': {package}'}.",
            "Install it, or use the original checkpoint with --quant.",
        ) from error
    except Exception as error:
        raise QuantizationError(
            f"{said}, which does not work on this machine.",
            "Use the original checkpoint with --quant; MISTRALRS_DEBUG=1 says why.",
        ) from error
    if not known:
        raise QuantizationError(
            f"{said}, which this version of transformers does not know.", "Use the original checkpoint with --quant."
        )


def dequantized_on_load(stored: Mapping[str, Any] | None) -> bool:
    """Whether eight-bit floats become ordinary numbers while they are loaded, since nothing here multiplies them."""
    if stored is None or method(stored) != "fp8":
        return False
    from transformers.quantizers.auto import AutoHfQuantizer

    quantizer = AutoHfQuantizer.from_config(dict(stored))
    quantizer.validate_environment(device_map={"": "cpu"})
    return bool(quantizer.quantization_config.dequantize)


def disable_avx512_kernel(model: Any) -> None:
    """Send 4-bit layers whose shape the AVX512 kernel of bitsandbytes asserts on through its general path."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.out_features % 32 or module.in_features % 64):
            module.support_avx512bf16_for_cpu = False
