"""How the numbers of a quantized weight are stored, and how a matrix is multiplied by them.

A weight is a matrix [out, in], or a stack of them [experts, out, in] whose parts are stored one after the other. A
format turns it into a few named tensors that are saved with the checkpoint, on every machine the same. Some devices
multiply faster from another order of the same numbers: that is a format of its own, made from the stored one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from .types import QuantType

Tensors = Mapping[str, Tensor]
Layout = dict[str, tuple[tuple[int, ...], torch.dtype]]

GROUPS = (64, 32, 16, 8)
BLOCK = 64
PLANES = {2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2)}
"""The widths into which an integer's bits are cut, lowest first, so that whole bytes can be filled."""
SHRINKS = {2: (1.0, 0.85, 0.7, 0.6), 3: (1.0, 0.9, 0.8)}
"""With few levels it pays to cut a group's extremes off; the best of these shares of its span is taken."""
SLAB = 1 << 22  # weights that are worked on at once, so that their float32 copies stay small
FEW_ROWS = 32  # up to here the kernel that reads 8-bit weights beats unpacking them first


class Format(ABC):
    """One way to store a weight [out, in]."""

    @abstractmethod
    def layout(self, rows: int, columns: int) -> Layout:
        """Shape and number type of every stored tensor."""

    @abstractmethod
    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        """Quantize a floating-point matrix [out, in]."""

    @abstractmethod
    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """The matrix [out, in] again, as close as the stored numbers tell."""

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """``inputs`` [..., in] times the transposed matrix: [..., out]."""
        return linear(inputs, self.unpack(stored, rows, columns, inputs.dtype))

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        """The order of the same numbers from which ``device`` multiplies faster, if there is one."""
        return None


class Rearranged(ABC):
    """The numbers of a stored weight in the order that one kind of device wants. Never saved."""

    @abstractmethod
    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        """The tensors of this order, from those of a stored matrix."""

    @abstractmethod
    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        """``inputs`` [..., in] times the transposed matrix: [..., out]."""


class Grouped(Format):
    """Integers of 2 to 6 bits; each group of inputs has a scale and an offset: w = q · scale + offset.

    ``packed`` uint8 [out, in · bits / 8] holds the planes of bits one after the other, and in each plane byte j holds
    columns j, j + n, j + 2n …, so that unpacking needs no shuffling. ``scale`` and ``offset`` bfloat16 [out, groups].
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def layout(self, rows: int, columns: int) -> Layout:
        groups = (rows, columns // group_size(columns))
        return {
            "packed": ((rows, padded(columns) * self.bits // 8), torch.uint8),
            "scale": (groups, torch.bfloat16),
            "offset": (groups, torch.bfloat16),
        }

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        parts = [self.pack_slab(slab) for slab in slabs(weight)]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def pack_slab(self, weight: Tensor) -> dict[str, Tensor]:
        """Quantize a few rows."""
        rows, columns = weight.shape
        groups = weight.float().reshape(rows, -1, group_size(columns))
        levels = (1 << self.bits) - 1
        low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        best: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        for shrink in SHRINKS.get(self.bits, (1.0,)):
            margin = (high - low) * (1 - shrink) / 2
            offset = (low + margin).bfloat16()
            scale = ((high - low) * shrink / levels).clamp_min(1e-30).bfloat16()
            integers = ((groups - offset.float()) / scale.float()).round_().clamp_(0, levels)
            error = (integers * scale.float() + offset.float()).sub_(groups).square_().sum(-1, keepdim=True)
            if best is None:
                best = integers, scale, offset, error
            else:
                better = error < best[3]
                found = (integers, scale, offset, error)
                best = tuple(torch.where(better, new, old) for new, old in zip(found, best, strict=True))  # type: ignore[assignment]
        assert best is not None
        integers, scale, offset, _ = best
        bytes_ = pack_bits(integers.reshape(rows, columns).to(torch.uint8), self.bits)
        return {"packed": bytes_, "scale": scale.squeeze(-1), "offset": offset.squeeze(-1)}

    def integers(self, stored: Tensors, rows: int, columns: int) -> Tensor:
        """The stored integers: uint8 [out, in]."""
        return unpack_bits(stored["packed"], self.bits, padded(columns))[:, :columns]

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        groups = self.integers(stored, rows, columns).reshape(rows, -1, group_size(columns)).to(dtype)
        scale, offset = stored["scale"].to(dtype), stored["offset"].to(dtype)
        return groups.mul_(scale.unsqueeze(-1)).add_(offset.unsqueeze(-1)).view(rows, columns)

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        tiled = rows % 16 == 0 and group_size(columns) >= 32 and columns % 32 == 0
        return Int4Tiles() if self.bits == 4 and device.type == "cpu" and vectorized() and tiled else None


class Int4Tiles(Rearranged):
    """4-bit groups as torch's CPU kernel reads them. It multiplies in bfloat16, and subtracts 8 from every integer."""

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        rows = stored["packed"].shape[0]
        columns = stored["packed"].shape[1] * 2
        integers = unpack_bits(stored["packed"], 4, columns).int()
        scale, offset = stored["scale"].float(), stored["offset"].float()
        pairs = torch.stack((scale, offset + 8 * scale), -1).transpose(0, 1).bfloat16().contiguous()
        return {"tiles": torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers, 1).view(rows, -1), "pairs": pairs}

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        flat = inputs.reshape(-1, columns).bfloat16()
        pairs = stored["pairs"]
        size = columns // pairs.shape[0]
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(flat, stored["tiles"], size, pairs)
        return product.to(inputs.dtype).view(*inputs.shape[:-1], rows)


class Float4(Format):
    """The 4-bit floats of bitsandbytes: ``packed`` uint8, two numbers a byte, and the largest of every 64 numbers.

    The number of columns must be a multiple of 64: the CPU code of bitsandbytes 0.50 starts a block with every row when
    it unpacks, but not when it packs.
    """

    def __init__(self, kind: Literal["nf4", "fp4"]) -> None:
        self.kind = kind

    def layout(self, rows: int, columns: int) -> Layout:
        numbers = rows * columns
        return {"packed": ((numbers // 2, 1), torch.uint8), "absmax": ((numbers // BLOCK,), torch.float32)}

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        bits_and_bytes()
        parts = [
            torch.ops.bitsandbytes.quantize_4bit(slab.contiguous(), BLOCK, self.kind, torch.uint8)
            for slab in slabs(weight)
        ]
        return {key: torch.cat([part[index] for part in parts]) for index, key in enumerate(("packed", "absmax"))}

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        bits_and_bytes()
        found: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            stored["packed"], stored["absmax"], BLOCK, self.kind, (rows, columns), dtype
        )
        return found

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        bits_and_bytes()
        product: Tensor = torch.ops.bitsandbytes.gemm_4bit(
            inputs, stored["packed"], (rows, columns), stored["absmax"], BLOCK, self.kind
        )
        return product

    def fastest(self, rows: int, columns: int, device: torch.device) -> Rearranged | None:
        tiled = rows % 32 == 0  # which the kernel asserts
        return Float4Tiles(self.kind, rows, columns) if tiled and device.type == "cpu" and multiplies_4bit() else None


class Float4Tiles(Rearranged):
    """4-bit floats as the kernel of bitsandbytes for CPUs with AVX512-BF16 reads them."""

    def __init__(self, kind: Literal["nf4", "fp4"], rows: int, columns: int) -> None:
        self.kind, self.rows, self.columns = kind, rows, columns

    def rearrange(self, stored: Tensors) -> dict[str, Tensor]:
        functional = bits_and_bytes()
        state = functional.QuantState(
            absmax=stored["absmax"].clone(),
            shape=torch.Size((self.rows, self.columns)),
            code=self.code,
            blocksize=BLOCK,
            quant_type=self.kind,
            dtype=torch.bfloat16,
        )
        tiles, state = functional._convert_weight_packed_for_cpu(stored["packed"], state)
        return {"tiles": tiles, "absmax": state.absmax}

    @property
    def code(self) -> Tensor:
        """The sixteen numbers."""
        code: Tensor = bits_and_bytes().get_4bit_type(self.kind, device="cpu")
        return code

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        product: Tensor = torch.ops.bitsandbytes.gemv_4bit(
            inputs, stored["tiles"], (rows, columns), stored["absmax"], self.code, BLOCK
        )
        return product


class Int8(Format):
    """LLM.int8: ``packed`` int8 [out, in], and ``scale`` float32 [out], the largest number of each row.

    On CUDA bitsandbytes multiplies 8-bit inputs with 8-bit weights and keeps outliers apart. Elsewhere the inputs keep
    their precision, which costs nothing there.
    """

    THRESHOLD: ClassVar[float] = 6.0

    def layout(self, rows: int, columns: int) -> Layout:
        return {"packed": ((rows, columns), torch.int8), "scale": ((rows,), torch.float32)}

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        packed = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
        scale = torch.empty(weight.shape[0], device=weight.device)
        row = 0
        for slab in slabs(weight):
            numbers, rows = slab.float(), slice(row, row + len(slab))
            scale[rows] = largest = numbers.abs().amax(-1)
            packed[rows] = (numbers * (127 / largest.clamp_min(1e-30)).unsqueeze(-1)).round_().to(torch.int8)
            row += len(slab)
        return {"packed": packed, "scale": scale}

    def unpack(self, stored: Tensors, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        matrix: Tensor = stored["packed"].to(dtype)
        return matrix.mul_((stored["scale"] / 127).to(dtype).unsqueeze(-1))

    def linear(self, inputs: Tensor, stored: Tensors, rows: int, columns: int) -> Tensor:
        if inputs.is_cuda:
            return self.outliers_apart(inputs, stored)
        flat = inputs.reshape(-1, columns)
        scale = stored["scale"] / 127
        product: Tensor
        if len(flat) <= FEW_ROWS and vectorized() and columns % 32 == 0 and aligned(stored["packed"]):
            product = torch.ops.aten._weight_int8pack_mm(flat.bfloat16(), stored["packed"], scale.bfloat16())
        else:
            product = linear(flat, stored["packed"].to(flat.dtype)) * scale.to(flat.dtype)
        return product.to(inputs.dtype).view(*inputs.shape[:-1], rows)

    def outliers_apart(self, inputs: Tensor, stored: Tensors) -> Tensor:
        """LLM.int8 itself."""
        import bitsandbytes

        bits_and_bytes()
        state = bitsandbytes.MatmulLtState()
        state.CB, state.SCB, state.threshold, state.has_fp16_weights = (
            stored["packed"],
            stored["scale"],
            self.THRESHOLD,
            False,
        )
        product: Tensor = bitsandbytes.matmul(inputs, stored["packed"], state=state)
        return product


FORMATS: dict[QuantType, Format] = {
    QuantType.INT2: Grouped(2),
    QuantType.INT3: Grouped(3),
    QuantType.INT4: Grouped(4),
    QuantType.INT5: Grouped(5),
    QuantType.INT6: Grouped(6),
    QuantType.INT8: Int8(),
    QuantType.NF4: Float4("nf4"),
    QuantType.FP4: Float4("fp4"),
}


def four_bits(device: torch.device) -> QuantType:
    """The 4-bit type that ``device`` multiplies fastest: NF4 where bitsandbytes has a kernel, else integers."""
    return QuantType.NF4 if device.type == "cuda" or multiplies_4bit() else QuantType.INT4


def settled(kind: QuantType, columns: int, device: torch.device) -> QuantType:
    """The type in which a weight with so many columns is stored for ``device``."""
    if kind is QuantType.FOUR:
        kind = four_bits(device)
    return QuantType.INT4 if kind in (QuantType.NF4, QuantType.FP4) and columns % BLOCK else kind


def group_size(columns: int) -> int:
    """How many inputs share a scale: 64 where that divides them."""
    return next((size for size in GROUPS if columns % size == 0), columns)


def padded(columns: int) -> int:
    """Columns with those added that fill up the last byte."""
    return -(-columns // 8) * 8


def slabs(weight: Tensor) -> Iterator[Tensor]:
    """The matrix, a few rows at a time."""
    rows = max(1, SLAB // weight.shape[1])
    return (weight[start : start + rows] for start in range(0, len(weight), rows))


def pack_bits(integers: Tensor, bits: int) -> Tensor:
    """Integers uint8 [rows, columns] below 2^bits, in bytes: uint8 [rows, padded columns · bits / 8]."""
    integers = pad(integers, (0, padded(integers.shape[1]) - integers.shape[1]))
    planes, shift = [], 0
    for width in PLANES[bits]:
        plane = (integers >> shift) & ((1 << width) - 1)
        parts = plane.chunk(8 // width, 1)
        packed = parts[0].clone()
        for index, part in enumerate(parts[1:], 1):
            packed |= part << (index * width)
        planes.append(packed)
        shift += width
    return torch.cat(planes, 1)


def unpack_bits(packed: Tensor, bits: int, columns: int) -> Tensor:
    """The integers again: uint8 [rows, columns]; ``columns`` as they were padded."""
    integers: Tensor | None = None
    shift = start = 0
    for width in PLANES[bits]:
        count, size = 8 // width, columns * width // 8
        plane = packed[:, start : start + size]
        spread = torch.empty(len(packed), count, size, dtype=torch.uint8, device=packed.device)
        for index in range(count):
            torch.bitwise_and(plane >> (index * width), (1 << width) - 1, out=spread[:, index])
        spread = spread.view(len(packed), columns)
        integers = spread if integers is None else integers.bitwise_or_(spread.bitwise_left_shift_(shift))
        shift, start = shift + width, start + size
    assert integers is not None
    return integers


def aligned(tensor: Tensor) -> bool:
    """Whether a tensor begins where wide registers load from. In a mapped file it may not.

    torch 2.13's kernel for 8-bit weights crashes on some that do not, as it does on widths that are no multiple of 16.
    """
    return tensor.data_ptr() % 64 == 0


def vectorized() -> bool:
    """Whether torch's kernels for packed weights are compiled for this CPU; elsewhere they are plain loops."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def multiplies_4bit() -> bool:
    """Whether bitsandbytes has its 4-bit kernel for this CPU."""
    return bool(bits_and_bytes().has_avx512bf16())


@cache
def bits_and_bytes():  # type: ignore[no-untyped-def]  # a module without types
    """bitsandbytes' functions, imported late: it takes half a second, and says a lot."""
    import logging

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # int8 tells of its float16 for every layer and token
    import bitsandbytes.functional

    return bitsandbytes.functional
