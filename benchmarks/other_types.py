"""Weights as other programs quantize them: what the types that are taken for theirs are compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

GROUP = 64


def mlx_affine(weight: Any, bits: int) -> Any:
    """MLX's ``affine`` mode (``afq``) with groups of 64: https://github.com/ml-explore/mlx, ``affine_quantize``."""
    groups, levels = weight.reshape(-1, GROUP), 2**bits - 1
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    scale = ((high - low) / levels).clamp_min(1e-7)
    lower = low.abs() > high.abs()
    scale, edge = scale.where(lower, -scale), low.where(lower, high)
    nearest = (edge / scale).round()
    scale = (edge / nearest).where(nearest != 0, scale)
    offset = edge.where(nearest != 0, edge.new_zeros(()))
    scale, offset = scale.bfloat16().float(), offset.bfloat16().float()
    return (((groups - offset) / scale).round().clamp(0, levels) * scale + offset).view_as(weight)


def half_quadratic(weight: Any, bits: int) -> Any:
    """HQQ with groups of 64: https://github.com/mobiusml/hqq, ``optimize_weights_proximal`` with its own settings."""
    groups, levels = weight.reshape(-1, GROUP), 2**bits - 1
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    inverse = levels / (high - low).clamp_min(1e-7)
    zero = -low * inverse
    zero = zero.round() if bits == 4 else zero
    beta, power, best = 10.0, 0.7, float("inf")
    for _ in range(20):
        integers = (groups * inverse + zero).round().clamp(0, levels)
        error = groups - (integers - zero) / inverse
        size = error.abs()
        kept = error.sign() * (size - size.clamp_min(1e-12) ** (power - 1) / beta).clamp_min(0)
        zero = (integers - (groups - kept) * inverse).mean(1, keepdim=True)
        beta *= 1.01
        if (mean := float(size.mean())) >= best:
            break
        best = mean
    scale, zero = (1 / inverse).bfloat16().float(), zero.bfloat16().float()
    return (((groups / scale + zero).round().clamp(0, levels) - zero) * scale).view_as(weight)


def mxfp4(weight: Any) -> Any:
    """OCP's MXFP4: 32 floats of 4 bits (E2M1) share a power of two."""
    import torch

    groups = weight.reshape(-1, 32)
    scale = 2.0 ** (groups.abs().amax(1, keepdim=True).clamp_min(1e-30).log2().floor() - 2)
    values = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    index = torch.bucketize((groups / scale).abs().clamp_max(6), (values[1:] + values[:-1]) / 2)
    return (groups.sign() * values[index] * scale).view_as(weight)


def fp8(weight: Any) -> Any:
    """Floats of 8 bits (E4M3) with one scale for a matrix."""
    import torch

    scale = weight.abs().amax() / 448
    return (weight / scale).to(torch.float8_e4m3fn).float() * scale


OTHERS: dict[str, tuple[float, Callable[[Any], Any]]] = {
    **{f"afq{bits}": (bits + 0.5, partial(mlx_affine, bits=bits)) for bits in (2, 3, 4, 6, 8)},
    **{f"hqq{bits}": (bits + 0.5, partial(half_quadratic, bits=bits)) for bits in (3, 4, 8)},
    "mxfp4": (4.25, mxfp4),
    "fp8": (8.0, fp8),
}
"""Bits of a weight with its scales, and the weight as it comes back."""
