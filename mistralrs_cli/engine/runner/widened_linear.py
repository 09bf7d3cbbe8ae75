"""Linear layers in 16 bits that multiply in float32 on a CPU where that is faster, as prompts do without AVX512-BF16.

PyTorch multiplies several rows of bfloat16 or float16 by a plain loop where the CPU has no instructions for it, which
takes several times as long as float32 does. So from a few rows of inputs on, the weight is widened to float32, some of
its rows at a time in a buffer that the CPU's cache holds, and multiplied there; nothing else is kept. Which way is
faster is measured where it runs and kept, like that of quantized weights (``loading.quantization.kernels``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ...loading.quantization.kernel_pin import Way, pin
from ...loading.quantization.kernels import choices

BLOCK = 1 << 19  # weights that are widened at once
FEWEST = 4  # rows of inputs from which on it may pay to widen a weight
MOST = 2048  # rows of inputs that are widened at once: an image may have tens of thousands
BUCKETS = (4, 16, 64)
PROBE = (512, 1024)  # the shape of a weight by which it is measured: the fewer its numbers, the sooner it is known
TRIES = 3


class WidenedLinear(nn.Linear):
    """A linear layer that ``use_for`` has found in a model."""

    def forward(self, input: Tensor) -> Tensor:
        """``input`` [..., in] times the transposed weight: [..., out], in the weight's dtype."""
        rows = input.numel() // self.in_features
        if rows < FEWEST or input.dtype is not self.weight.dtype or not widens(rows, input.dtype):
            return linear(input, self.weight, self.bias)
        return multiply(input.reshape(rows, -1), self.weight, self.bias).view(*input.shape[:-1], -1)


def use_for(model: nn.Module) -> int:
    """Have the linear layers of a model in 16 bits on a CPU multiply in the faster way; returns how many may."""
    found = 0
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu" and module.weight.dtype in HALVES:
            module.__class__ = WidenedLinear
            found += 1
    return found


HALVES = (torch.bfloat16, torch.float16)


def multiply(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``inputs`` [tokens, in] times the transposed ``weight`` [out, in], summed in float32: [tokens, out]."""
    rows, columns = weight.shape
    step = max(1, BLOCK // columns)
    outputs = inputs.new_empty(len(inputs), rows)
    buffer = inputs.new_empty(min(step, rows), columns, dtype=torch.float32)
    for some, found in zip(inputs.split(MOST), outputs.split(MOST), strict=True):
        wide = some.float()
        for row in range(0, rows, step):
            block = weight[row : row + step]
            part = torch.mm(wide, buffer[: len(block)].copy_(block).t())
            found[:, row : row + step] = part if bias is None else part.add_(bias[row : row + step])
    return outputs


def widens(rows: int, dtype: torch.dtype) -> bool:
    """Whether ``multiply`` is the faster way for so many rows of inputs."""
    if (pinned := pin()) in ("packed", "unpacked"):
        return pinned == "unpacked"
    return faster(max(edge for edge in BUCKETS if edge <= rows), dtype, torch.get_num_threads())


@cache
def faster(rows: int, dtype: torch.dtype, threads: int) -> bool:
    """``widens``, measured with a small weight where it is not known."""
    name = str(dtype).removeprefix("torch.")
    inputs, weight = torch.ones(rows, PROBE[1], dtype=dtype), torch.ones(PROBE, dtype=dtype)
    ways: dict[Way, Callable[[], Tensor]] = {
        "packed": lambda: torch.mm(inputs, weight.t()),
        "unpacked": lambda: multiply(inputs, weight),
    }
    return choices().fastest(f"linear {name} {rows} rows {threads} threads", ways, TRIES) == "unpacked"
