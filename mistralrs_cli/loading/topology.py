"""Topology files: which layers go to which device, and in which type they are quantized."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..named_files import named_text
from .quantization import Pin, QuantType, parse_type

DEVICE = re.compile(r"cpu|disk|(?:cuda|metal)\[\d+\]")
FORMS = 'A key is "0-16" (16 not included), a layer number, or "/regex/" on weight names.'


@dataclass(frozen=True, slots=True)
class Entry:
    """What a topology says of a layer or weight; ``None`` is nothing. Devices as written: ``cpu``, ``cuda[0]``."""

    isq: str | None = None
    device: str | None = None

    def over(self, other: Entry) -> Entry:
        """This entry where it says something, else the other."""
        return Entry(self.isq or other.isq, self.device or other.device)


@dataclass(frozen=True, slots=True)
class Topology:
    """Ranges in the order in which they apply, and patterns in the order of the file."""

    ranges: tuple[tuple[range, Entry], ...] = ()
    patterns: tuple[tuple[re.Pattern[str], Entry], ...] = ()

    def layer(self, number: int) -> Entry:
        """What holds for a layer: of several ranges the one that ends last, of those the last in the file."""
        found = Entry()
        for layers, entry in self.ranges:
            if number in layers:
                found = entry.over(found)
        return found

    def weight(self, name: str, layer: int | None) -> Entry:
        """What holds for a weight by its full name: of several patterns the last; a pattern beats a range."""
        found = Entry() if layer is None else self.layer(layer)
        for pattern, entry in self.patterns:
            if pattern.search(name):
                found = entry.over(found)
        return found

    @property
    def places(self) -> bool:
        """Whether it names a device at all."""
        return any(entry.device for _, entry in (*self.ranges, *self.patterns))

    @property
    def types(self) -> tuple[str, ...]:
        """The names of types in the file, in order."""
        return tuple(entry.isq for _, entry in (*self.ranges, *self.patterns) if entry.isq)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What it says on quantization, for the plan. Raises ``OptionError`` for an unknown type."""
        ranges = [Pin(quantized_to(entry.isq), layers=layers) for layers, entry in self.ranges if entry.isq]
        patterns = [Pin(quantized_to(entry.isq), pattern=it.pattern) for it, entry in self.patterns if entry.isq]
        return (*ranges, *patterns)

    def require_layers(self, count: int) -> None:
        """Raise ``OptionError`` where the file speaks of layers that the model does not have."""
        last = max((layers.stop for layers, _ in self.ranges), default=0)
        if last > count:
            raise OptionError(
                f"The topology names layer {last - 1}, but the model has {count} text layers, 0 to {count - 1}.",
                f'The end of a range is not included: all layers are "0-{count}".',
            )


def quantized_to(name: str) -> QuantType | None:
    """The type of a name; ``none`` keeps full precision."""
    return None if name == "none" else parse_type(name).type


def read_topology(path: str) -> Topology:
    """A topology file. Raises ``OptionError`` with the key where something is wrong."""
    import yaml

    text = named_text("--topology", path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise OptionError(f"{path}{line} is not YAML.", "Check its indentation, colons and quotes.") from error
    return Topology() if node is None else build(path, node)


def build(path: str, node: Any) -> Topology:
    """Sort the entries of a file, a YAML node, into ranges and patterns."""
    ranges: list[tuple[range, Entry]] = []
    patterns: list[tuple[re.Pattern[str], Entry]] = []
    for key, value in pairs(path, node):
        entry = read_entry(f"{path}, {key}", value)
        if len(key) > 1 and key.startswith("/") and key.endswith("/"):
            try:
                patterns.append((re.compile(key[1:-1]), entry))
            except re.error as error:
                raise OptionError(f"{path}: {key} is not a regular expression.", FORMS) from error
        else:
            ranges.append((read_range(path, key), entry))
    return Topology(tuple(sorted(ranges, key=lambda item: item[0].stop)), tuple(patterns))


def pairs(place: str, node: Any) -> list[tuple[str, Any]]:
    """The keys and value nodes of a YAML mapping, keys as they are written. A key may stand once."""
    if node.id != "mapping":
        raise OptionError(f"{place} is not a mapping.", FORMS)
    found = [(str(key.value), value) for key, value in node.value]
    keys = [key for key, _ in found]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise OptionError(f"{place} has the key {twice[0]} twice.", "Join the two.")
    return found


def read_range(path: str, key: str) -> range:
    """``0-16`` or ``5``."""
    match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", key.strip())
    if match is None:
        raise OptionError(f"{path}: {key} names no layers.", FORMS)
    start = int(match[1])
    layers = range(start, int(match[2]) if match[2] else start + 1)
    if not layers:
        raise OptionError(f"{path}: the range {key} is empty: its end is not included.", FORMS)
    return layers


def read_entry(place: str, node: Any) -> Entry:
    """``isq`` and ``device`` of one key."""
    settings = dict(pairs(place, node))
    words = {name: str(value.value).strip() for name, value in settings.items() if value.id == "scalar"}
    if not words or words.keys() != settings.keys() or not words.keys() <= {"isq", "device"}:
        raise OptionError(f"{place}: isq and device, or one of them, stand here.", 'For example: "0-16": {isq: 8}')
    device = words.get("device")
    if device is not None and not DEVICE.fullmatch(device):
        raise OptionError(f"{place} names the device {device}.", "Devices are cpu, disk, cuda[0], metal[0].")
    return Entry(words.get("isq"), device)
