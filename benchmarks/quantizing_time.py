"""CPU seconds that quantizing the weights of a 2-billion-parameter model takes, on one thread.

    python -m benchmarks.quantizing_time [--types q4k q8_0 int8]

The matrices of one layer and a part of the embedding are quantized, and counted for as many as the model has; the best
of three rounds is printed. Attention values and the embedding are in ``q8_0`` with any type.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from benchmarks.load_memory import SHAPE
from mistralrs_cli.loading.quantization.formats import FORMATS
from mistralrs_cli.loading.quantization.types import QuantType

PART = 8192  # rows of the embedding


def seconds(weight: Tensor, kind: QuantType) -> float:
    """CPU time of quantizing one matrix."""
    begun = time.process_time()
    FORMATS[kind].pack(weight)
    return time.process_time() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", nargs="+", default=["q4k", "q8_0", "int8"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    hidden, wide, layers, words = (
        SHAPE[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")
    )
    keys = SHAPE["num_key_value_heads"] * SHAPE["head_dim"]
    shapes = [(hidden, hidden)] * 2 + [(keys, hidden)] + [(wide, hidden)] * 2 + [(hidden, wide)]
    body = [torch.randn(shape).mul_(0.02).bfloat16() for shape in shapes]
    values, embedding = (torch.randn(rows, hidden).mul_(0.02).bfloat16() for rows in (keys, PART))
    for kind in map(QuantType, chosen.types):
        best = min(
            layers * (sum(seconds(weight, kind) for weight in body) + seconds(values, QuantType.Q8_0))
            + words / PART * seconds(embedding, QuantType.Q8_0)
            for _ in range(3)
        )
        print(f"{kind:8}{best:6.1f} s of CPU for 2.02 billion parameters", flush=True)


if __name__ == "__main__":
    main()
