"""Topology files: what holds for which layer and weight."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading import check
from mistralrs_cli.loading.quantization import Pin, QuantType
from mistralrs_cli.loading.topology import Entry, Topology, read_topology
from mistralrs_cli.options import ModelOptions

Read = Callable[[str], Topology]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def written(text: str) -> Topology:
        file = tmp_path / "t.yaml"
        file.write_text(text)
        return read_topology(str(file))

    return written


def test_ranges_end_before_their_end(read: Read) -> None:
    topology = read("0-16:\n  isq: q4k\n  device: cuda[0]\n16-18:\n  device: cpu\n20:\n  isq: 8\n")
    assert topology.layer(0) == topology.layer(15) == Entry("q4k", "cuda[0]")
    assert topology.layer(16) == topology.layer(17) == Entry(None, "cpu")
    assert topology.layer(18) == topology.layer(19) == topology.layer(21) == Entry()
    assert topology.layer(20) == Entry("8", None)
    assert topology.places
    assert topology.types == ("q4k", "8")


def test_the_range_that_ends_last_wins_and_of_those_the_last(read: Read) -> None:
    topology = read("2-6: {isq: q6k}\n0-4: {isq: q4k}\n3-6: {isq: 8}\n")
    assert [topology.layer(number).isq for number in range(6)] == ["q4k", "q4k", "q6k", "8", "8", "8"]


def test_each_setting_is_settled_by_itself(read: Read) -> None:
    topology = read("0-4: {device: cpu}\n0-8: {isq: 8}\n")
    assert topology.layer(1) == Entry("8", "cpu")


def test_a_pattern_beats_a_range_and_the_last_pattern_wins(read: Read) -> None:
    topology = read(
        "0-4: {isq: 4, device: cpu}\n'/ffn\\./': {isq: 5}\n'/ffn\\.weight$/': {isq: 6}\n/up_proj/: {isq: 3}\n"
    )
    assert topology.weight("layers.2.ffn.weight", 2) == Entry("6", "cpu")
    assert topology.weight("layers.2.ffn.bias", 2).isq == "5"
    assert topology.weight("layers.2.attn.weight", 2).isq == "4"
    assert topology.weight("visual.ffn.up_proj", None) == Entry("3", None)
    assert topology.weight("lm_head.weight", None) == Entry()


def test_types_become_pins(read: Read) -> None:
    assert read("0-4: {isq: 8}\n/mlp/: {isq: none}\n/q_proj/: {isq: 4, device: cpu}\n8: {device: cpu}").pins == (
        Pin(QuantType.EIGHT, layers=range(4)),
        Pin(None, pattern="mlp"),
        Pin(QuantType.FOUR, pattern="q_proj"),
    )


def test_types_of_other_engines_are_noted_and_unknown_ones_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("0-4: {isq: q4_1}\n4-8: {isq: q4_1}\n8-9: {isq: none}")
    assert [notice[:3] for notice in check(ModelOptions(topology=str(file)))] == ["q4_"]
    file.write_text("0-4: {isq: q9}")
    with pytest.raises(OptionError, match="q9"):
        check(ModelOptions(topology=str(file)))


def test_an_empty_file_says_nothing(read: Read) -> None:
    topology = read("# nothing\n")
    assert not topology.places
    assert topology.pins == ()
    topology.require_layers(0)


def test_layers_the_model_does_not_have(read: Read) -> None:
    topology = read("0-36: {isq: 8}")
    topology.require_layers(36)
    with pytest.raises(OptionError, match="layer 35, but the model has 28 text layers, 0 to 27") as caught:
        topology.require_layers(28)
    assert '"0-28"' in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "not a mapping"),
        ("0-4: {isq: 8}\n0-4: {isq: 4}\n", "key 0-4 twice"),
        ("0-4: {isq: 8, isq: 4}\n", "key isq twice"),
        ("4-4: {isq: 8}\n", "range 4-4 is empty"),
        ("6-4: {isq: 8}\n", "range 6-4 is empty"),
        ("a-b: {isq: 8}\n", "a-b names no layers"),
        ("-3: {isq: 8}\n", "names no layers"),
        ("'/(/': {isq: 8}\n", "not a regular expression"),
        ("0-4: 8\n", "0-4 is not a mapping"),
        ("0-4: {}\n", "isq and device, or one of them"),
        ("0-4:\n", "0-4 is not a mapping"),
        ("0-4: {isq: [8]}\n", "isq and device, or one of them"),
        ("0-4: {type: 8}\n", "isq and device, or one of them"),
        ("0-4: {device: gpu}\n", "names the device gpu"),
        ("0-4: {device: cuda}\n", "names the device cuda"),
        ("0-4: {device: 'cuda[x]'}\n", "names the device"),
        ("0-4: {isq: 8\n", "line 2 is not YAML"),
        ("0-4: !!python/object/apply:os.getcwd []\n", "not a mapping"),
    ],
)
def test_what_is_wrong_is_named(read: Read, text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        read(text)
    assert "\n" not in caught.value.message


def test_a_missing_file_is_found_out_before_anything_is_read() -> None:
    with pytest.raises(OptionError, match="there is no file"):
        check(ModelOptions(topology="nowhere.yaml"))
