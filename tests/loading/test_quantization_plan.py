"""Names of types, and which weight gets which."""

import pytest

from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading.quantization import Pin, QuantType, Weight, parse_type, plan

WEIGHTS = [
    *(Weight(f"model.layers.{layer}.mlp.up_proj.weight", "body", layer) for layer in range(6)),
    Weight("model.layers.5.mlp.experts.down_proj", "experts", 5),
    Weight("model.layers.5.mlp.gate.weight", "excluded", 5),
    Weight("model.visual.merger.weight", "excluded"),
    Weight("lm_head.weight", "head"),
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("2", "2"),
        ("3", "3"),
        ("4", "4"),
        ("8", "8"),
        ("int2", "int2"),
        ("Q4K", "q4k"),
        ("q6k", "q6k"),
        ("q8_0", "q8_0"),
        ("iq4_nl", "iq4_nl"),
        ("NF4", "nf4"),
        ("int4", "int4"),
        ("fp4", "fp4"),
        (" int8 ", "int8"),
    ],
)
def test_names_that_are_exact(name: str, kind: str) -> None:
    named = parse_type(name)
    assert named.type == kind
    assert named.notice is None


@pytest.mark.parametrize(
    ("names", "bits"),
    [
        ("q2k afq2", 2),
        ("afq3", 3),
        ("q4_0 Q4_1 hqq4 afq4 mxfp4", 4),
        ("q5_0 q5_1", 5),
        ("afq6", 6),
        ("q8_1 q8k hqq8 afq8 f8q8 fp8", 8),
    ],
)
def test_names_of_other_formats_keep_their_bits_and_say_so(names: str, bits: int) -> None:
    for name in names.split():
        named = parse_type(name)
        assert named.type.bits == bits
        assert named.notice is not None
        assert name.lower() in named.notice
        assert named.type in named.notice


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("4.5", "q4k"),
        ("4.6", "q4k"),
        ("4.8", "4"),
        ("3.5", "q3k"),
        ("3.9", "3"),
        ("5.25", "4"),
        ("6.6", "q6k"),
        ("9.0", "q8_0"),
    ],
)
def test_a_number_of_bits_is_the_largest_type_within_it(name: str, kind: str) -> None:
    named = parse_type(name)
    assert named.type == kind
    assert named.notice is None


@pytest.mark.parametrize("name", ["7", "1", "q9k", "", "four", "2.5", "4.", "4.555", "-4.5", "nan", "1e1"])
def test_unknown_names_list_the_known(name: str) -> None:
    with pytest.raises(OptionError) as raised:
        parse_type(name)
    assert "q4k" in (raised.value.hint or "")
    assert "2 3 4 5 6 8" in (raised.value.hint or "")


def test_body_and_experts_get_the_type_and_the_head_eight_bits() -> None:
    planned = plan(WEIGHTS, QuantType.INT3)
    assert planned["model.layers.0.mlp.up_proj.weight"] is QuantType.INT3
    assert planned["model.layers.5.mlp.experts.down_proj"] is QuantType.INT3
    assert planned["lm_head.weight"] is QuantType.INT8
    assert planned["model.layers.5.mlp.gate.weight"] is None
    assert planned["model.visual.merger.weight"] is None


def test_the_head_is_as_exact_as_the_most_exact_type() -> None:
    assert plan(WEIGHTS, QuantType.Q8_0)["lm_head.weight"] is QuantType.Q8_0


def test_nothing_is_planned_without_a_type() -> None:
    assert set(plan(WEIGHTS, None).values()) == {None}


def test_experts_only() -> None:
    planned = plan(WEIGHTS, QuantType.NF4, experts_only=True)
    assert [name for name, kind in planned.items() if kind] == ["model.layers.5.mlp.experts.down_proj"]


def test_ranges_apply_in_the_order_of_their_ends() -> None:
    pins = [Pin(QuantType.INT8, range(2, 5)), Pin(QuantType.NF4, range(4)), Pin(None, range(5, 6))]
    planned = plan(WEIGHTS, QuantType.INT2, pins=pins)
    body = [planned[f"model.layers.{layer}.mlp.up_proj.weight"] for layer in range(6)]
    assert body == [QuantType.NF4, QuantType.NF4, QuantType.INT8, QuantType.INT8, QuantType.INT8, None]
    assert planned["model.layers.5.mlp.experts.down_proj"] is None
    assert planned["lm_head.weight"] is QuantType.INT8


def test_patterns_beat_ranges_and_the_last_wins() -> None:
    pins = [
        Pin(QuantType.INT6, pattern=r"layers\.1\."),
        Pin(QuantType.INT8, pattern=r"up_proj"),
        Pin(None, range(6)),
        Pin(QuantType.INT4, pattern=r"layers\.2\.mlp"),
    ]
    planned = plan(WEIGHTS, None, pins=pins)
    assert planned["model.layers.1.mlp.up_proj.weight"] is QuantType.INT8
    assert planned["model.layers.2.mlp.up_proj.weight"] is QuantType.INT4


def test_only_patterns_reach_what_is_spared() -> None:
    pins = [Pin(QuantType.INT8, range(6)), Pin(QuantType.INT8, pattern="visual")]
    planned = plan(WEIGHTS, None, pins=pins)
    assert planned["model.layers.5.mlp.gate.weight"] is None
    assert planned["model.visual.merger.weight"] is QuantType.INT8


PARTS = [
    Weight(f"model.layers.0.{inner}.weight", "body", 0)
    for inner in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")
]


def test_a_size_gives_attention_values_and_the_way_down_more() -> None:
    planned = plan(PARTS, QuantType.THREE)
    assert [*planned.values()] == [QuantType.Q3_K, QuantType.Q8_0, QuantType.Q3_K, QuantType.Q4_K]
    assert [*plan(PARTS, QuantType.FOUR).values()] == [
        QuantType.Q4_K,
        QuantType.Q8_0,
        QuantType.Q4_K,
        QuantType.Q4_K,
    ]


def test_a_named_type_is_the_same_everywhere() -> None:
    for device in ("cpu", "cuda"):
        assert set(plan(PARTS, QuantType.Q4_K, device=device).values()) == {QuantType.Q4_K}


def test_sizes_use_the_kernels_of_bitsandbytes_on_a_gpu() -> None:
    assert [*plan(PARTS, QuantType.FOUR, device="cuda").values()] == [
        QuantType.NF4,
        QuantType.INT8,
        QuantType.NF4,
        QuantType.NF4,
    ]
    assert set(plan(PARTS, QuantType.EIGHT, device="cuda").values()) == {QuantType.INT8}


def test_no_size_is_left_to_be_stored() -> None:
    sizes = [kind for kind in QuantType if kind.value.isdigit()]
    assert len(sizes) == 6
    for device in ("cpu", "cuda", "mps"):
        for size in sizes:
            pins = [Pin(size, range(1)), Pin(size, pattern="up_proj")]
            assert set(plan(PARTS, size, device=device).values()).isdisjoint(sizes)
            assert set(plan(PARTS, None, pins=pins, device=device).values()).isdisjoint(sizes)
