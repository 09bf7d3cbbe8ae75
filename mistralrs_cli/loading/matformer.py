"""MatFormer slices: a smaller model inside Gemma 3n, named in a table. Reading the table, and fitting its rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from ..errors import MatFormerError, OptionError
from ..named_files import named_text, position
from ..options import ModelOptions
from ..resources import bundled_names, named_file

FOLDER = "matformer_configs"
NAME, WIDTHS, SKIPPED = "name", "FFN Hidden Dims", "Layers Skipped"
PRODUCT = re.compile(r"\d[\d_]*(\s*\*\s*\d[\d_]*)*")


@dataclass(frozen=True, slots=True)
class Slice:
    """One row of a table: the feed-forward ``widths`` of the layers kept, and the layers ``skipped``."""

    name: str
    widths: tuple[int, ...]
    skipped: tuple[int, ...] = ()

    @property
    def layers(self) -> int:
        """How many layers of the whole model the slice is made for."""
        return len(self.widths) + len(self.skipped)

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers of the whole model that stay, in order."""
        return tuple(layer for layer in range(self.layers) if layer not in self.skipped)

    @property
    def summary(self) -> str:
        """What is left, in a few words."""
        low, high = min(self.widths), max(self.widths)
        wide = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        skipped = f" (without {', '.join(map(str, self.skipped))})" if self.skipped else ""
        return f"{len(self.kept)} of {self.layers} layers{skipped}, {wide} wide"


def requested_slice(options: ModelOptions) -> Slice | None:
    """The slice that the options name, from their table; ``None`` without a name.

    Raises ``OptionError`` for a name without a table, and where the table cannot be read or has no such slice.
    """
    name, path = options.matformer_slice_name, options.matformer_config_path
    table = {} if path is None else read_table(path)
    if name is None:
        return None
    if path is None:
        raise OptionError(
            "--matformer-slice-name needs --matformer-config-path.",
            f"A table that ships with this program is found by its name: {' or '.join(bundled_names(FOLDER))}.",
        )
    if name not in table:
        raise OptionError(f"Matformer slice '{name}' not found in config {path}.", f"It has: {'; '.join(table)}.")
    return table[name]


def read_table(path: str) -> dict[str, Slice]:
    """The slices of a ``.csv`` or ``.json`` table, in order. JSON is a list of objects with the columns as keys."""
    hint = f"Name a .csv or .json file; {' and '.join(bundled_names(FOLDER))} can be named without a folder."
    text = named_text("--matformer-config-path", path, hint, named_file(FOLDER, path))
    rows = json_rows(path, text) if path.lower().endswith(".json") else csv_rows(path, text)
    table: dict[str, Slice] = {}
    for number, row in enumerate(rows, 1):
        found = read_slice(f"{path}, slice {number}", row)
        if found.name in table:
            raise OptionError(f"{path} has two slices named '{found.name}'.", "Rename one of them.")
        table[found.name] = found
    if not table:
        raise OptionError(f"{path} holds no slices.", f"Its columns are {NAME}, {WIDTHS} and {SKIPPED}.")
    return table


def csv_rows(path: str, text: str) -> Iterable[Mapping[str, Any]]:
    """The rows of a comma-separated table."""
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise OptionError(f"{path} is not a comma-separated table.", "Check its quotes.") from error


def json_rows(path: str, text: str) -> Iterable[Mapping[str, Any]]:
    """The objects of a JSON list."""
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise OptionError(
            f"{path} is not JSON{position(error)}.", "Give a comma-separated table the suffix .csv."
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise OptionError(f"{path} is not a list of objects.", f'Write [{{"{NAME}": "…", "{WIDTHS}": […]}}].')
    return rows


def read_slice(place: str, row: Mapping[str, Any]) -> Slice:
    """One row as a slice."""
    name = row.get(NAME)
    if not isinstance(name, str) or not name.strip():
        raise OptionError(f"{place} has no {NAME}.", f"Its columns are {NAME}, {WIDTHS} and {SKIPPED}.")
    widths = numbers(f"{place}, {WIDTHS}", row.get(WIDTHS))
    skipped = numbers(f"{place}, {SKIPPED}", row.get(SKIPPED) or "[]")
    if not widths or 0 in widths:
        raise OptionError(f"{place}, {WIDTHS}: every layer kept needs a width above 0.", "For example [2_048 * 4].")
    if len(set(skipped)) < len(skipped) or max(skipped, default=0) >= len(widths) + len(skipped):
        raise OptionError(
            f"{place} keeps {len(widths)} layers and skips {list(skipped)}, which does not add up.",
            f"Each layer has a width in {WIDTHS} or stands once in {SKIPPED}.",
        )
    return Slice(name.strip(), widths, tuple(sorted(skipped)))


def numbers(place: str, cell: Any) -> tuple[int, ...]:
    """A list of whole numbers, or the text of one: ``[2_048 * 8, 16]``. Products and nothing else are worked out."""
    if isinstance(cell, str):
        inner = cell.strip()
        if not (inner.startswith("[") and inner.endswith("]")):
            raise OptionError(f"{place} is not a list: {cell[:40]}", "For example [2_048 * 8, 2_048 * 4].")
        cell = inner[1:-1].split(",") if inner[1:-1].strip() else []
    if not isinstance(cell, list):
        raise OptionError(f"{place} is not a list.", "For example [2_048 * 8, 2_048 * 4].")
    return tuple(number(place, item) for item in cell)


def number(place: str, item: Any) -> int:
    """A whole number, or a product of some."""
    if isinstance(item, int) and not isinstance(item, bool) and item >= 0:
        return item
    if isinstance(item, str) and PRODUCT.fullmatch(item.strip()):
        return prod(int(factor.strip().replace("_", "")) for factor in item.split("*"))
    raise OptionError(f"{place}: {str(item).strip()[:40]!r} is not a number.", "Write 16384, 16_384 or 2_048 * 8.")


def sliced_config(config: Mapping[str, Any], model_slice: Slice) -> dict[str, Any]:
    """The configuration of a checkpoint after slicing: an ordinary, smaller Gemma 3n.

    Layers that share keys and values reuse those of the last layer of their type before them, so these are reserved.
    Raises ``MatFormerError`` where the slice does not fit.
    """
    text = config["text_config"]
    try:
        layers, shared, types = text["num_hidden_layers"], text["num_kv_shared_layers"], text["layer_types"]
        full, sparsity = text["intermediate_size"], text["activation_sparsity_pattern"]
    except KeyError as error:
        raise MatFormerError(
            f"The config.json of this checkpoint has no {error.args[0]}, so it cannot be sliced.",
            "Use a current release of Gemma 3n E4B.",
        ) from error
    full = full if isinstance(full, list) else [full] * layers
    if model_slice.layers != layers:
        raise MatFormerError(
            f"The slice '{model_slice.name}' has {len(model_slice.widths)} widths and skips "
            f"{len(model_slice.skipped)} layers, but the model has {layers} layers.",
            "Each layer of the model needs a width, or is skipped.",
        )
    first_shared = layers - shared
    reserved = {max(i for i in range(first_shared) if types[i] == kind) for kind in set(types[:first_shared])}
    if shared and reserved & set(model_slice.skipped):
        raise MatFormerError(
            f"Layers {' and '.join(map(str, sorted(reserved)))} are reserved.",
            f"Later layers reuse their keys and values; the slice '{model_slice.name}' must keep them.",
        )
    for layer, width in zip(model_slice.kept, model_slice.widths, strict=True):
        if width > full[layer]:
            raise MatFormerError(
                f"The slice '{model_slice.name}' wants {width:,} wide feed-forward weights in layer {layer}, "
                f"which has {full[layer]:,}.",
                "Use the checkpoint that the table was made for.",
            )
    sliced = {
        **text,
        "num_hidden_layers": len(model_slice.kept),
        "intermediate_size": list(model_slice.widths),
        "layer_types": [types[layer] for layer in model_slice.kept],
        "activation_sparsity_pattern": [sparsity[layer] for layer in model_slice.kept],
        "num_kv_shared_layers": shared - sum(layer >= first_shared for layer in model_slice.skipped),
    }
    return {**config, "text_config": sliced}
