"""Which device gets which layer: the grammar of -n and --max-memory, and what fits where."""

from pathlib import Path

import pytest

from mistralrs_cli.errors import OptionError, OutOfMemory
from mistralrs_cli.loading import check
from mistralrs_cli.loading.memory import MemoryNeeds
from mistralrs_cli.loading.memory_plan import (
    MemoryPlan,
    advise,
    check_placement,
    demand,
    fill,
    require_memory,
    shortage,
)
from mistralrs_cli.loading.placement import (
    Placement,
    by_counts,
    by_topology,
    memory_limits,
    named_device,
    read_layers,
    read_memory,
)
from mistralrs_cli.loading.topology import Entry, Topology
from mistralrs_cli.options import ModelOptions

TWO = ["cuda:0", "cuda:1"]
GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:16;1:16", (("0", 16), ("1", 16))),
        ("16", (("0", 16),)),
        (" 1:2 ; cpu:3;disk:4", (("1", 2), ("cpu", 3), ("disk", 4))),
        ("01:2", (("1", 2),)),
        ("0:0", (("0", 0),)),
    ],
)
def test_layer_counts(text: str, expected: object) -> None:
    assert read_layers(text) == expected


@pytest.mark.parametrize("text", ["", ";", "0:", ":3", "a:3", "0:3;", "0=3", "0:-1", "0:1.5", "0:1:2", "cpu"])
def test_bad_layer_counts_show_the_form(text: str) -> None:
    with pytest.raises(OptionError, match="is not DEVICE:LAYERS") as caught:
        check(ModelOptions(device_layers=text))
    assert "0:16;1:16" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["0:1;0:2", "1;0:2", "00:1;0:1", "cpu:1;cpu:1"])
def test_a_repeated_device_is_an_error(text: str) -> None:
    with pytest.raises(OptionError, match="twice"):
        check(ModelOptions(device_layers=text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:10GiB;cpu:1.5G", {"0": 10 * GIB, "cpu": 3 * GIB // 2}),
        ("512MB", {"": 512_000_000}),
        ("2 TB", {"": 2 * 10**12}),
        ("1k", {"": 1024}),
    ],
)
def test_sizes(text: str, expected: object) -> None:
    assert read_memory(text) == expected


@pytest.mark.parametrize("text", ["", "10", "0:10", "gpu:1GB", "1GB;2GB", "0:1GB;00:1GB", "-1GB"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(OptionError, match="--max-memory"):
        check_placement(ModelOptions(max_memory=text))


def test_a_lone_size_is_for_the_first_device() -> None:
    assert memory_limits(ModelOptions(max_memory="1G"), TWO, "cuda:0") == {"cuda:0": GIB}
    assert memory_limits(ModelOptions(max_memory="1:1G"), TWO, "cuda:0") == {"cuda:1": GIB}
    assert memory_limits(ModelOptions(), TWO, "cuda:0") == {}


@pytest.mark.parametrize(
    ("word", "machine", "device"),
    [
        ("0", TWO, "cuda:0"),
        ("1", TWO, "cuda:1"),
        ("cuda[1]", TWO, "cuda:1"),
        ("0", ["mps"], "mps"),
        ("metal[0]", ["mps"], "mps"),
        ("cpu", TWO, "cpu"),
        ("disk", [], "disk"),
    ],
)
def test_devices_by_their_names(word: str, machine: list[str], device: str) -> None:
    assert named_device(word, machine, "-n") == device


@pytest.mark.parametrize(
    ("word", "machine", "there", "choices"),
    [
        ("0", [], "only the CPU", "cpu, disk"),
        ("2", TWO, "cuda:0 and cuda:1 and the CPU", "0, 1, cpu, disk"),
        ("cuda[2]", TWO, "cuda device 2", "cuda[0], cuda[1], cpu"),
        ("cuda[0]", ["mps"], "mps and the CPU", "metal[0], cpu"),
        ("metal[0]", TWO, "metal device 0", "cuda[0], cuda[1]"),
    ],
)
def test_a_device_that_is_not_there_names_those_that_are(
    word: str, machine: list[str], there: str, choices: str
) -> None:
    with pytest.raises(OptionError) as caught:
        named_device(word, machine, "-n")
    assert there in caught.value.message
    assert choices in (caught.value.hint or "")


def test_layers_left_over_go_to_the_cpu() -> None:
    placement = by_counts("0:2;1:1", 5, TWO)
    assert placement == Placement(("cuda:0", "cuda:0", "cuda:1", "cpu", "cpu"), "cuda:0")
    assert placement.offloaded
    assert placement.summary == "text layers 0 to 1 on cuda:0, 2 on cuda:1, 3 to 4 on cpu; all else on cuda:0"


def test_all_else_is_never_on_the_disk() -> None:
    assert by_counts("disk:2;cpu:1", 3, []) == Placement(("disk", "disk", "cpu"), "cpu")
    assert by_counts("disk:3", 3, []).rest == "cpu"


def test_more_layers_than_there_are() -> None:
    with pytest.raises(OptionError, match="places 7 layers, but the model has 5"):
        by_counts("0:4;1:3", 5, TWO)


def test_a_topology_places_what_it_names() -> None:
    import re

    topology = Topology(
        ((range(1, 3), Entry(device="cuda[1]")), (range(3, 4), Entry(device="disk"))),
        ((re.compile("mlp"), Entry(device="cpu")), (re.compile("q_proj"), Entry(isq="8"))),
    )
    placement = by_topology(topology, 5, TWO, "cuda:0")
    assert placement.layers == ("cuda:0", "cuda:1", "cuda:1", "disk", "cuda:0")
    assert placement.pinned == (("mlp", "cpu"),)
    assert placement.devices == {"cuda:0", "cuda:1", "disk", "cpu"}


NEED = MemoryNeeds(layers=(10, 10, 10, 10), rest=20, cache=(1, 1, 1, 1), activations=5)


@pytest.mark.parametrize(
    ("available", "layers"),
    [
        ({"cuda:0": 69, "cpu": 0}, ["cuda:0"] * 4),
        ({"cuda:0": 68, "cpu": 100}, ["cuda:0"] * 2 + ["cpu"] * 2),  # 20 + 5, 2 × 10, 4 × 1, 10 for one that visits
        ({"cuda:0": 40, "cpu": 100}, ["cpu"] * 4),
        ({"cuda:0": 59, "cpu": 10}, ["cuda:0"] * 2 + ["cpu"] * 2),
    ],
)
def test_layers_spill_over(available: dict[str, int], layers: list[str]) -> None:
    assert list(fill(NEED, ["cuda:0", "cpu"], available).layers) == layers


def test_layers_spill_over_two_cards() -> None:
    placement = fill(NEED, ["cuda:0", "cuda:1", "cpu"], {"cuda:0": 61, "cuda:1": 25, "cpu": 100})
    assert placement.layers == ("cuda:0", "cuda:0", "cuda:1", "cuda:1")
    assert demand(NEED, placement) == {"cuda:0": 20 + 5 + 22, "cuda:1": 22}


def test_the_cache_of_a_resting_layer_is_where_it_computes() -> None:
    assert demand(NEED, Placement(("cpu", "disk", "disk", "cpu"), "cpu")) == {"cpu": 25 + 20 + 4 + 10, "disk": 20}
    assert demand(NEED, Placement(("cuda:0", "cpu", "cpu", "cpu"), "cuda:0")) == {"cuda:0": 25 + 10 + 4 + 10, "cpu": 30}


def test_what_does_not_fit_says_by_how_much_and_what_helps() -> None:
    available = {"cpu": 50, "disk": 1 << 40}

    def fit(need: MemoryNeeds) -> MemoryPlan:
        return MemoryPlan(fill(need, ["cpu"], available), need, available)

    tight = fit(NEED)
    assert tight.shortage == shortage(NEED, tight.placement, available) == 19
    half = MemoryNeeds((5, 5, 5, 5), 20, NEED.cache, 5)
    assert advise({"--quant 8": half, "--quant 4": half}, fit, tight) == "This would fit: --quant 8 or --quant 4."
    assert "disk:" in advise({"--quant 8": NEED}, fit, tight)
    hopeless = MemoryPlan(tight.placement, NEED, {"cpu": 10})
    assert "smaller model" in advise({}, fit, hopeless)
    assert "disk:" not in advise({}, fit, hopeless)
    with pytest.raises(OutOfMemory, match=r"M does not fit: it needs 69 bytes.*19 bytes too little"):
        require_memory("M", tight, ModelOptions())
    require_memory("M", fit(half), ModelOptions())


def test_n_and_devices_in_a_topology_exclude_each_other(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("0-2: {device: cpu}")
    with pytest.raises(OptionError, match="exclude"):
        check(ModelOptions(device_layers="2", topology=str(file)))
