"""How weights are stored in fewer bits, and multiplied."""

import numpy as np
import pytest
import torch
from torch.nn.functional import linear

from mistralrs_cli.loading.quantization.bits import pack_bits, unpack_bits
from mistralrs_cli.loading.quantization.blocks import Blocks, half
from mistralrs_cli.loading.quantization.float4 import Float4
from mistralrs_cli.loading.quantization.formats import FORMATS, concrete_type
from mistralrs_cli.loading.quantization.search import SPANS, Groups, own_weight, scale_and_offset
from mistralrs_cli.loading.quantization.tiles import to_tiles
from mistralrs_cli.loading.quantization.types import QuantType

CPU = torch.device("cpu")
STORED = list(FORMATS)

# Relative error of normal numbers, a little above what the step of each format gives: a group of 64 spans 4.8 standard
# deviations, cut into 2^bits - 1 steps, and rounding errs by a step over √12; for 2 and 3 bits the best of a few cuts.
EXPECTED = {
    QuantType.INT2: 0.36,
    QuantType.INT3: 0.19,
    QuantType.INT4: 0.10,
    QuantType.NF4: 0.10,
    QuantType.FP4: 0.13,
    QuantType.INT5: 0.05,
    QuantType.INT6: 0.025,
    QuantType.INT8: 0.01,
    QuantType.Q3_K: 0.17,
    QuantType.IQ4_NL: 0.08,
    QuantType.Q4_K: 0.075,
    QuantType.Q5_K: 0.038,
    QuantType.Q6_K: 0.019,
    QuantType.Q8_0: 0.006,
}
WHOLE_BLOCKS = [kind for kind, how in FORMATS.items() if isinstance(how, (Blocks, Float4))]


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("columns", [8, 64, 13, 40])
def test_bits_come_back_as_they_went_in(bits: int, columns: int) -> None:
    integers = torch.randint(1 << bits, (5, columns), dtype=torch.uint8)
    packed = pack_bits(integers, bits)
    width = -(-columns // 8) * 8
    assert packed.shape == (5, width * bits // 8)
    assert torch.equal(unpack_bits(packed, bits, width)[:, :columns], integers)


@pytest.mark.parametrize("kind", STORED)
def test_a_weight_is_close_to_what_it_was(kind: QuantType) -> None:
    weight = numbers(96, 256)
    how = FORMATS[kind]
    stored = how.pack(weight)
    assert {part: (tuple(t.shape), t.dtype) for part, t in stored.items()} == how.layout(96, 256)
    assert distance(how.unpack(stored, 96, 256, torch.float32), weight) < EXPECTED[kind]


@pytest.mark.parametrize("kind", STORED)
def test_about_half_a_bit_for_scales(kind: QuantType) -> None:
    stored = FORMATS[kind].pack(numbers(96, 256))
    size = 8 * sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    assert kind.bits <= size / (96 * 256) <= kind.bits + 0.57


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("rows", [1, 5, 80])
def test_products_are_those_of_the_stored_numbers(kind: QuantType, rows: int) -> None:
    how, weight, inputs = FORMATS[kind], numbers(96, 256), numbers(2, rows, 256, seed=1)
    stored = how.pack(weight)
    wanted = linear(inputs, how.unpack(stored, 96, 256, torch.float32))
    found = how.linear(inputs, stored, 96, 256)
    assert found.dtype == inputs.dtype
    assert distance(found, wanted) < 0.01  # some kernels multiply in bfloat16


@pytest.mark.parametrize("kind", [QuantType.INT4, QuantType.NF4, QuantType.FP4, QuantType.Q4_K, QuantType.Q8_0])
@pytest.mark.parametrize("shape", [(96, 256), (48, 96), (160, 64), (33, 128), (7, 192), (128, 4304)])
def test_the_fast_order_gives_the_same_products_for_every_shape(kind: QuantType, shape: tuple[int, int]) -> None:
    kind = concrete_type(kind, *shape)
    how, inputs = FORMATS[kind], numbers(3, shape[1], seed=1)
    stored = how.pack(numbers(*shape))
    wanted = linear(inputs, how.unpack(stored, *shape, torch.float32))
    fastest = how.fastest(*shape, CPU)
    if fastest is None:
        assert distance(how.linear(inputs, stored, *shape), wanted) < 0.01
    else:
        assert distance(fastest.linear(inputs, fastest.rearrange(stored), *shape), wanted) < 0.01


@pytest.mark.parametrize("kind", [kind for kind in STORED if kind not in WHOLE_BLOCKS])
@pytest.mark.parametrize("columns", [13, 40, 100])
def test_widths_that_no_group_divides(kind: QuantType, columns: int) -> None:
    how, weight = FORMATS[kind], numbers(10, columns)
    stored = how.pack(weight)
    assert distance(how.unpack(stored, 10, columns, torch.float32), weight) < 1.1 * EXPECTED[kind]
    assert how.linear(numbers(2, columns), stored, 10, columns).shape == (2, 10)


def test_float4_never_gets_a_width_that_bitsandbytes_unpacks_wrongly() -> None:
    assert concrete_type(QuantType.NF4, 64, 96) is QuantType.INT4
    assert concrete_type(QuantType.FP4, 64, 100) is QuantType.INT4
    assert concrete_type(QuantType.NF4, 64, 128) is QuantType.NF4


@pytest.mark.parametrize("kind", WHOLE_BLOCKS)
def test_a_matrix_of_broken_blocks_gets_as_many_bits_otherwise(kind: QuantType) -> None:
    other = concrete_type(kind, 7, 13)
    assert other.bits == kind.bits
    assert other not in WHOLE_BLOCKS


@pytest.mark.parametrize("kind", [kind for kind in STORED if isinstance(FORMATS[kind], Blocks)])
def test_blocks_mean_what_ggml_reads_in_them(kind: QuantType) -> None:
    """Whatever bytes are in a block, and what is packed."""
    from gguf import GGMLQuantizationType, dequantize

    how, theirs = FORMATS[kind], GGMLQuantizationType[type(FORMATS[kind]).__name__]
    weight = numbers(16, 256)
    weight[3], weight[5, :32], weight[7] = 0, 0, -weight[7].abs()
    blocks = how.pack(weight)["blocks"]
    assert distance(how.unpack({"blocks": blocks}, 16, 256, torch.float32), weight) < 1.2 * EXPECTED[kind]
    bytes_ = torch.randint(256, blocks.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for stored in (blocks, bytes_):
        found = how.unpack({"blocks": stored}, 16, 256, torch.float32)
        with np.errstate(all="ignore"):
            wanted = torch.from_numpy(dequantize(stored.numpy(), theirs)).view(16, 256)
        finite = wanted.isfinite()  # random bytes hold float16 that are no numbers
        assert torch.equal(found[finite], wanted[finite])
        assert finite.float().mean() > 0.5


@pytest.mark.parametrize("shape", [(64, 96), (128, 64), (48, 32), (16, 160)])
def test_tiles_are_those_that_torch_makes(shape: tuple[int, int]) -> None:
    integers = torch.randint(16, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers.int(), 1)
    assert torch.equal(to_tiles(integers), wanted.view(shape[0], -1))


def test_scales_of_8_bits_lose_nothing_in_bfloat16() -> None:
    scale = half(FORMATS[QuantType.Q8_0].pack(numbers(64, 256))["blocks"], 0)
    assert torch.equal(scale.bfloat16().float(), scale)


def test_a_search_errs_less_than_the_span_of_a_group() -> None:
    """Of numbers with outliers, in few bits."""
    weight = numbers(32, 256)
    weight[:, ::37] *= 4
    groups = weight.view(32, -1, 64)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    for bits in (2, 3, 4):
        step = (high - low) / ((1 << bits) - 1)
        rounded = ((groups - low) / step).round() * step + low
        how = FORMATS[QuantType(f"int{bits}")]
        found = how.unpack(how.pack(weight), 32, 256, torch.float32)
        assert distance(found, weight) < 0.97 * distance(rounded.view(32, 256), weight)


def test_float4_packs_as_bitsandbytes_does() -> None:
    from bitsandbytes.functional import quantize_4bit

    weight = numbers(96, 256)
    packed, state = quantize_4bit(weight, blocksize=64, quant_type="nf4")
    stored = Float4("nf4").pack(weight)
    assert torch.equal(stored["packed"], packed)
    assert torch.equal(stored["absmax"], state.absmax)


def test_int8_packs_as_bitsandbytes_does() -> None:
    from bitsandbytes.functional import int8_vectorwise_quant

    weight = numbers(96, 256)
    packed, scale, _ = int8_vectorwise_quant(weight.half())
    stored = FORMATS[QuantType.INT8].pack(weight.half())
    assert (stored["packed"].int() - packed.int()).abs().max() <= 1
    assert torch.allclose(stored["scale"], scale.float())


def test_zeros_stay_zeros() -> None:
    for kind, how in FORMATS.items():
        stored = how.pack(torch.zeros(16, 64))
        assert not how.unpack(stored, 16, 64, torch.float32).any(), kind


def test_weights_may_begin_anywhere_in_a_mapped_file() -> None:
    """torch's own kernel crashes on this one."""
    how, inputs = FORMATS[QuantType.INT8], numbers(24, 64)
    stored = how.pack(numbers(261, 64))
    buffer = torch.empty(261 * 64 + 64, dtype=torch.int8)
    shift = (4 - buffer.data_ptr()) % 64
    moved = buffer[shift : shift + 261 * 64].view(261, 64).copy_(stored["packed"])
    found = how.linear(inputs, {**stored, "packed": moved}, 261, 64)
    assert distance(found, how.linear(inputs, stored, 261, 64)) < 0.01


ODD = {
    "denormal": numbers(8, 512) * 1e-42,
    "tiny": numbers(8, 512) * 1e-20,
    "huge": numbers(8, 512) * 1e9,
    "one huge": torch.cat([torch.tensor([[-1e7]]), numbers(1, 511)], 1),
    "alike": torch.full((8, 512), -0.37),
    "negative zeros": -torch.zeros(8, 512),
}


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", ODD)
def test_finite_weights_stay_finite(kind: QuantType, name: str) -> None:
    weight, how = ODD[name], FORMATS[kind]
    before = weight.clone()
    rows, columns = weight.shape
    assert how.unpack(how.pack(weight), rows, columns, torch.float32).isfinite().all()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_weight_is_never_hidden(kind: QuantType, value: float) -> None:
    weight, how = numbers(8, 512), FORMATS[kind]
    weight[3, 5] = value
    found = how.unpack(how.pack(weight), 8, 512, torch.float32)
    assert not found[3, 5].isfinite()
    assert found[4:].isfinite().all()


def test_errors_and_fits_follow_from_sums() -> None:
    """Those of the search, by plain least squares in double precision."""
    x = numbers(4, 32, 6)
    groups = Groups(x - x.amin(-2, keepdim=True), own_weight(x))
    numbers_, weight = groups.x.double(), groups.weight.double()

    def error(scale: torch.Tensor, offset: torch.Tensor, integers: torch.Tensor) -> torch.Tensor:
        return (weight * (integers * scale + offset - numbers_).square()).sum(-2, keepdim=True)

    best: torch.Tensor | None = None
    for span in SPANS:
        guess = groups.x.amax(-2, keepdim=True) / (15 + span)
        integers = groups.integers(guess, torch.zeros_like(guess), 15)
        fit = groups.fit(integers)
        found = fit.error(guess, 0.1 * guess).double() + (weight * numbers_.square()).sum(-2, keepdim=True)
        assert torch.allclose(found, error(guess, 0.1 * guess, integers), rtol=1e-3)
        roots = weight.sqrt().movedim(-2, -1).unsqueeze(-1)
        table = torch.stack([integers.double(), torch.ones_like(numbers_)], -1).movedim(1, 2) * roots
        fitted = torch.linalg.lstsq(table, numbers_.movedim(-2, -1).unsqueeze(-1) * roots).solution
        scale, offset, _ = fit.both(guess)
        assert torch.allclose(torch.stack([scale, offset], -1).squeeze(1).double(), fitted.squeeze(-1), atol=1e-4)
        least = error(scale.double(), offset.double(), integers)
        best = least if best is None else torch.minimum(best, least)
    scale, offset = scale_and_offset(groups, 15)
    assert best is not None
    assert (error(scale, offset, groups.integers(scale, offset, 15)) <= 1.001 * best).all()
