"""What every way to store a quantized weight can do.

A weight is a matrix [out, in], or a stack of them [experts, out, in] whose parts are stored one after the other. A
format turns it into a few named tensors that are saved with the checkpoint, on every machine the same. Some devices
multiply faster from another order of the same numbers: that is a format of its own, made from the stored one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear

Tensors = Mapping[str, Tensor]
TensorShapes = dict[str, tuple[tuple[int, ...], torch.dtype]]

SLAB = 1 << 22  # weights that are worked on at once, so that their float32 copies stay small


class Format(ABC):
    """One way to store a weight [out, in]."""

    @abstractmethod
    def layout(self, rows: int, columns: int) -> TensorShapes:
        """Shape and number type of every stored tensor."""

    @abstractmethod
    def pack(self, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        """Quantize a floating-point matrix [out, in].

        ``importance`` float32 [in], all positive, says how much an error counts in each column: the mean square of
        its inputs. Formats that do not search for scales ignore it.
        """

    @abstractmethod
    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """The matrix [out, in] again, as close as the stored numbers tell."""

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """``inputs`` [..., in] times the transposed matrix: [..., out]."""
        return linear(inputs, self.unpack(stored, rows, columns, inputs.dtype))

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """Some rows of the matrix, whose ``indices`` int64 [n] are given: float32 [n, in].

        Only of a matrix that begins no row within a block.
        """
        found = {}
        for part, tensor in stored.items():
            each = len(tensor) // rows
            found[part] = tensor.view(rows, each, *tensor.shape[1:])[indices].view(-1, *tensor.shape[1:])
        return self.unpack(found, len(indices), columns, torch.float32)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        """The order of the same numbers from which ``device`` multiplies faster, if there is one."""
        return None


class Rearranged(ABC):
    """The numbers of a stored weight in the order of one device's kernel. Never part of a checkpoint."""

    kept: tuple[str, ...] = ()
    """The names of its tensors if they take long to make: such are kept on disk for the next load."""

    few: int = 0
    """Below so many rows of inputs ``few_rows`` multiplies."""

    @abstractmethod
    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        """The tensors of this order, from those of a stored matrix."""

    @abstractmethod
    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """``inputs`` [..., in] times the transposed matrix: [..., out]."""

    def looks_up(self, rows: int) -> bool:
        """Whether ``lookup`` finds rows of a matrix with ``rows`` of them in this order."""
        return False

    def lookup(self, indices: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """``Format.lookup`` from this order."""
        raise NotImplementedError

    def direct(self, stored: Tensors, rows: int, columns: int) -> Callable[[Tensor], Tensor] | None:
        """``linear`` for inputs [tokens, in], with less on the way to the kernel, if there is such a way."""
        return None

    def few_rows(self, inputs: Tensor, stored: Tensors, rows: int, dtype: torch.dtype) -> Tensor:
        """The product of ``inputs`` bfloat16 [tokens, in] by the kernel for few of them: [tokens, out] in ``dtype``."""
        raise NotImplementedError


def slabs(weight: Tensor) -> Iterator[Tensor]:
    """The matrix, a few rows at a time."""
    rows = max(1, SLAB // weight.shape[1])
    return (weight[start : start + rows] for start in range(0, len(weight), rows))


def aligned(tensor: Tensor) -> bool:
    """Whether a tensor begins where wide registers load from. In a mapped file it may not.

    torch 2.13's kernel for 8-bit weights crashes on some that do not, as it does on widths that are no multiple of 16.
    """
    return tensor.data_ptr() % 64 == 0


def vectorized() -> bool:
    """Whether torch's kernels for packed weights are compiled for this CPU; elsewhere they are plain loops."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
