"""Milliseconds for one linear layer in each quantized type, beside the dtype of its inputs, for several rows of input.

    MISTRALRS_KERNELS=packed python -m benchmarks.quantized_linear [--rows 1 8 64 512] [--only q4k int8]

All types are measured in turn in one process; the best of all rounds is printed. ``MISTRALRS_KERNELS=unpacked``
measures the other way to multiply with 32 rows or more, and without it the faster one is chosen. Where ggml is
installed, rows marked so are multiplied by its kernels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from mistralrs_cli.loading.quantization.format import Rearranged
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.ggml_order import ggml_order
from mistralrs_cli.loading.quantization.kernel_pin import pin
from mistralrs_cli.loading.quantization.layers import QuantizedLinear
from mistralrs_cli.loading.quantization.types import QuantType


def quantized(source: nn.Linear, kind: QuantType, order: Rearranged | None = None) -> QuantizedLinear:
    """The layer in a quantized type, arranged as loading arranges it, or multiplied in another ``order``."""
    layer = QuantizedLinear(source, kind)
    for name, tensor in layer.pack("weight", source.weight.data).items():
        layer.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    if order is None:
        layer.rearrange()
    layer.quantized["weight"].rearranged = order or layer.quantized["weight"].rearranged
    return layer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--only", nargs="+", metavar="TYPE", default=list(FORMATS))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    dtype: torch.dtype = getattr(torch, chosen.dtype)
    source = nn.Linear(chosen.size, chosen.size, bias=False, dtype=dtype)
    layers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {chosen.dtype: source}
    layers |= {kind: quantized(source, kind) for kind in FORMATS if kind in chosen.only}
    for kind in map(QuantType, chosen.only):
        if (order := ggml_order(kind, chosen.size, chosen.size)) is not None:
            layers[f"{kind} ggml"] = quantized(source, kind, order)
    best = {(name, rows): float("inf") for name in layers for rows in chosen.rows}
    with torch.inference_mode():
        for _ in range(chosen.rounds):
            for rows in chosen.rows:
                inputs = torch.randn(rows, chosen.size, dtype=dtype)
                for name, layer in layers.items():
                    begin = time.perf_counter()
                    layer(inputs)
                    best[name, rows] = min(best[name, rows], time.perf_counter() - begin)
    how = pin() or "the faster way"
    print(f"{chosen.size} x {chosen.size}, {chosen.threads} thread(s), torch {torch.__version__}, {how}, milliseconds")
    print(f"{'rows':<12}" + "".join(f"{rows:>9}" for rows in chosen.rows))
    for name in layers:
        print(f"{name:<12}" + "".join(f"{best[name, rows] * 1000:9.2f}" for rows in chosen.rows))


if __name__ == "__main__":
    main()
