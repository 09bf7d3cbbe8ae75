"""The models on this disk: what ``/model`` lists and completes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import MistralrsError
from ..loading.hub_cache import CachedModel, cached_models
from ..messages import MODALITIES
from ..options import DEMO_MODEL
from ..resources import DEMO_CHECKPOINT
from ..sizes import readable
from ..terminal.table import table
from .model import ChatModel
from .server import ServerModels


@dataclass(frozen=True, slots=True)
class Known:
    """A model that can be named: its size in bytes, and what it reads."""

    name: str
    size: int
    reads: str
    quantized: str = ""


def known(hf_cache: str | None) -> list[Known]:
    """The demo model, then every checkpoint in the hub's cache, the largest first.

    Downloads without a configuration that this program runs (a tokenizer, a data set) are left out.
    """
    cached = cached_models(hf_cache)
    copies: dict[str, list[str]] = {}
    for model in cached:
        if model.quantized:
            copies.setdefault(model.name, []).append(model.quantized)
    found = [Known(DEMO_MODEL, size_of(DEMO_CHECKPOINT), reads(DEMO_CHECKPOINT) or "text")]
    for model in cached:
        if not model.quantized and (modalities := next(filter(None, map(reads, snapshots(model))), None)):
            found.append(Known(model.name, model.size, modalities, ", ".join(copies.get(model.name, ()))))
    return found


def names(model: ChatModel) -> list[str]:
    """What may follow ``/model``."""
    if model.server is not None:
        return model.server.names
    return [each.name for each in known(model.begun.options.hf_cache)]


def of_server(server: ServerModels, current: str) -> str:
    """The models of a server as a table."""
    rows = [
        ("*" if each["id"] == current else " ", str(each["id"]), ", ".join(each.get("input_modalities") or ()))
        for each in server.listed
        if "id" in each
    ]
    if not any(row[0] == "*" for row in rows):
        rows.insert(0, ("*", current, ""))
    lines = table(("", "model", "reads"), rows)
    return lines.rstrip("\n") + f"\n* in use; /model NAME switches to another of {server.address}"


def listing(model: ChatModel) -> str:
    """The models on this disk, or of the server, as a table, the one that answers marked."""
    if model.server is not None:
        return of_server(model.server, model.name)
    rows: list[tuple[str, ...]] = [
        ("*" if found.name == model.name else " ", found.name, readable(found.size), found.reads, found.quantized)
        for found in known(model.begun.options.hf_cache)
    ]
    if all(row[0] == " " for row in rows):
        rows.insert(0, ("*", model.title, "", modality_list(model.family.modalities), ""))
    head: tuple[str, ...] = ("", "model", "size", "reads", "kept quantized")
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    lines = table(head, rows, right=(2,))
    return lines.rstrip("\n") + "\n* in use; /model NAME switches to another, from this disk or the hub"


def snapshots(model: CachedModel) -> Iterable[Path]:
    """The folders of its revisions, the newest first."""
    try:
        return sorted((model.folder / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return ()


def reads(folder: Path) -> str | None:
    """What a checkpoint reads; ``None`` for a folder that is none this program runs."""
    from ..families import family_for

    try:
        return modality_list(family_for(json.loads((folder / "config.json").read_text(encoding="utf-8"))).modalities)
    except (OSError, ValueError, TypeError, AttributeError, MistralrsError):
        return None


def modality_list(modalities: Iterable[str]) -> str:
    """``text, image, audio``."""
    return ", ".join(["text", *(kind for kind in MODALITIES if kind in modalities)])


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
