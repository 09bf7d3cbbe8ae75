"""Which device holds which text layer, as the user says: ``-n "0:16;1:16"`` and ``--max-memory "0:10GiB;cpu:20GiB"``.

Devices are written ``cuda:0``, ``mps``, ``cpu`` and ``disk``. Towers, embeddings, norms and the head always stay on
one device that computes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import OptionError
from ..options import ModelOptions
from .topology import Topology

SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT])(?P<kind>iB|B)?", re.IGNORECASE)
LAYERS_EXAMPLE = 'Write -n "0:16;1:16": 16 text layers on device 0 and 16 on device 1; what is left goes to the CPU.'
MEMORY_EXAMPLE = 'Write --max-memory "0:10GiB;cpu:20GiB", or one size for the first device.'


@dataclass(frozen=True, slots=True)
class Placement:
    """The device of every text layer; ``rest`` holds all else. ``pinned`` are patterns on weight names and devices."""

    layers: tuple[str, ...]
    rest: str
    pinned: tuple[tuple[str, str], ...] = ()

    @property
    def devices(self) -> frozenset[str]:
        """Every device that holds something."""
        return frozenset({self.rest, *self.layers, *(device for _, device in self.pinned)})

    @property
    def offloaded(self) -> bool:
        """Whether some weights lie where nothing computes: on the disk, or in memory beside a GPU."""
        return any(self.rests(device) for device in self.devices)

    def rests(self, device: str) -> bool:
        """Whether weights only lie on a device, and compute on the main one."""
        return device == "disk" or (device == "cpu" and self.rest != "cpu")

    @property
    def summary(self) -> str:
        """``text layers 0 to 15 on cuda:0, 16 to 27 on cpu; all else on cuda:0``."""
        if self.devices == {self.rest}:
            return f"everything on {self.rest}"
        groups = ", ".join(f"{numbers} on {device}" for numbers, device in grouped(self.layers))
        pinned = "".join(f"; /{pattern}/ on {device}" for pattern, device in self.pinned)
        return f"text layers {groups}{pinned}; all else on {self.rest}"


def grouped(devices: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours on the same device together: ``("0 to 15", "cuda:0")``."""
    starts = [index for index, device in enumerate(devices) if index == 0 or devices[index - 1] != device]
    ends = [*(start - 1 for start in starts[1:]), len(devices) - 1]
    return [
        (str(start) if start == end else f"{start} to {end}", devices[start])
        for start, end in zip(starts, ends, strict=True)
    ]


def read_layers(text: str) -> tuple[tuple[str, int], ...]:
    """``"0:16;1:16"`` as devices (as written) and layer counts; a lone number means device 0.

    Raises ``OptionError`` for a bad form or a device named twice.
    """
    found = []
    for entry in text.split(";"):
        device, colon, count = entry.strip().rpartition(":")
        if not colon:
            device = "0"
        if not re.fullmatch(r"\d+|cpu|disk", device) or not re.fullmatch(r"\d+", count):
            raise OptionError(f"-n {text}: {entry.strip() or 'nothing'!r} is not DEVICE:LAYERS.", LAYERS_EXAMPLE)
        found.append((plain(device), int(count)))
    refuse_repeated("-n", text, [device for device, _ in found])
    return tuple(found)


def read_memory(text: str) -> dict[str, int]:
    """``"0:10GiB;cpu:20GiB"`` as devices (as written) and bytes; a lone size stands under ``""``, the first device.

    ``G`` and ``GiB`` are 2**30 bytes, ``GB`` 10**9. Raises ``OptionError`` for a bad form or a device named twice.
    """
    found = []
    for entry in text.split(";"):
        device, colon, size = entry.strip().rpartition(":")
        match = SIZE.fullmatch(size.strip())
        if match is None or (colon and not re.fullmatch(r"\d+|cpu|disk", device)):
            raise OptionError(f"--max-memory {text}: {entry.strip() or 'nothing'!r} is not a size.", MEMORY_EXAMPLE)
        base = 1000 if (match["kind"] or "").upper() == "B" else 1024
        power = "KMGT".index(match["unit"].upper()) + 1
        found.append((plain(device), int(float(match["number"]) * base**power)))
    refuse_repeated("--max-memory", text, [device for device, _ in found])
    return dict(found)


def plain(device: str) -> str:
    """An ordinal without leading zeros."""
    return str(int(device)) if device.isdigit() else device


def refuse_repeated(option: str, text: str, devices: Sequence[str]) -> None:
    """Each device has one entry."""
    device, count = Counter(devices).most_common(1)[0]
    if count > 1:
        raise OptionError(f"{option} {text} names device {device or '0'} twice.", "Give each device one entry.")


def named_device(word: str, accelerators: Sequence[str], option: str) -> str:
    """``0`` as the first accelerator of this machine, ``cuda[1]`` as ``cuda:1``; ``cpu`` and ``disk`` as they are.

    Raises ``OptionError`` that names the devices there are.
    """
    match = re.fullmatch(r"(?:(cuda|metal)\[)?(\d+)\]?", word)
    if match is None:
        return word
    kind, number = match[1], int(match[2])
    if number < len(accelerators) and (kind is None or accelerators[number].startswith(KINDS[kind])):
        return accelerators[number]
    there = f"{' and '.join(accelerators)} and the CPU" if accelerators else "only the CPU"
    choices = range(len(accelerators)) if kind is None else map(written, accelerators)
    raise OptionError(
        f"{option} asks for {kind or 'GPU'} device {number}, but this machine has {there}.",
        f"Name one of: {', '.join([*map(str, choices), 'cpu', 'disk'])}.",
    )


KINDS = {"cuda": "cuda", "metal": "mps"}


def written(device: str) -> str:
    """A device as topology files write it."""
    return "metal[0]" if device == "mps" else re.sub(r":(\d+)", r"[\1]", device)


def by_counts(text: str, layers: int, accelerators: Sequence[str]) -> Placement:
    """The placement ``-n`` asks for; layers it leaves over go to the CPU."""
    entries = [(named_device(word, accelerators, "-n"), count) for word, count in read_layers(text)]
    placed = [device for device, count in entries for _ in range(count)]
    if len(placed) > layers:
        raise OptionError(f"-n {text} places {len(placed)} layers, but the model has {layers}.", "Lower the numbers.")
    rest = next((device for device, _ in entries if device != "disk"), "cpu")
    return Placement((*placed, *["cpu"] * (layers - len(placed))), rest)


def by_topology(topology: Topology, layers: int, accelerators: Sequence[str], default: str) -> Placement:
    """The placement of a topology file; what it does not name stays on the default device."""
    devices = [
        named_device(topology.layer(number).device or default, accelerators, "--topology") for number in range(layers)
    ]
    pinned = tuple(
        (pattern.pattern, named_device(entry.device, accelerators, "--topology"))
        for pattern, entry in topology.patterns
        if entry.device is not None
    )
    return Placement(tuple(devices), default, pinned)


def memory_limits(options: ModelOptions, accelerators: Sequence[str], default: str) -> Mapping[str, int]:
    """``--max-memory`` by device."""
    if options.max_memory is None:
        return {}
    return {
        named_device(word, accelerators, "--max-memory") if word else default: size
        for word, size in read_memory(options.max_memory).items()
    }
