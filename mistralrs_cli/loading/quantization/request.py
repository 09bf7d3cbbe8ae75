"""The options ``--quant``, ``--isq`` and ``--isq-organization``, checked."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import OptionError, QuantizationError
from ...options import ModelOptions
from .kernel_pin import pin
from .types import AUTO, QuantType, parse_type


@dataclass(frozen=True, slots=True)
class QuantizationRequest:
    """Quantize to ``type``; ``None`` is ``auto``: as many bits as fit.

    ``experts_only`` is the organization ``moqe``. With ``keep`` (``--quant``) weights that are quantized already will
    do, and new ones are kept; without (``--isq``) they are always made while loading.
    """

    option: str
    type: QuantType | None
    experts_only: bool = False
    keep: bool = True
    notice: str | None = None


def no_experts(model: str) -> QuantizationError:
    """The error for a model of which the routed experts alone were to be quantized."""
    return QuantizationError(
        f"{model} has no routed experts that could be quantized.",
        "Leave out --isq-organization to quantize the whole text decoder.",
    )


def too_few_weights(model: str, count: int, where: str) -> QuantizationError:
    """The error for 2 bits of a model that they would destroy.

    ``count`` is the weights of its text layers, ``where`` the place in which 2 bits were asked for.
    """
    return QuantizationError(
        f"2 bits destroy a model of {count / 1e6:,.0f} million weights: {model} would answer with noise.",
        f"Use {where} 3 or more; int2 takes 2 bits all the same.",
    )


def parse_quantization(options: ModelOptions) -> QuantizationRequest | None:
    """The quantization that the options ask for, checked; ``None`` without one.

    Raises ``OptionError`` for options that exclude or need each other, and for an unknown type.
    So does an unknown ``MISTRALRS_KERNELS``, before weights are read and with none quantized as well.
    """
    pin()
    if options.quant is not None and options.isq is not None:
        raise OptionError("--quant and --isq exclude each other.", "Keep one of them.")
    name = options.quant if options.quant is not None else options.isq
    experts_only = options.isq_organization == "moqe"
    if name is None:
        if experts_only:
            raise OptionError("--isq-organization says how --isq is done.", "Add --isq 4.")
        return None
    option = f"--{'quant' if options.isq is None else 'isq'} {name}"
    keep = options.isq is None
    if name.strip().lower() == AUTO:
        return QuantizationRequest(option, None, experts_only, keep)
    named = parse_type(name)
    return QuantizationRequest(option, named.type, experts_only, keep, named.notice)
