"""What the files of published checkpoints say, one module for each tiny checkpoint that is built after one.

``FILES`` has every key of the published ``config.json``, processor's, tokenizer's and generation's files with its
value, but for sizes, numbers of layers and ids, which are those of the tiny model (``SCALED``), and chat templates.
So is ``tie_word_embeddings`` where engine tests need varied answers: a random tied head repeats what it is given.
``ADDED`` are sizes that the published file leaves to a class whose own are large. ``MODEL`` is whose files they are,
and ``NOTE`` what another model's had to stand in for. A file that no public copy was found of is as transformers
writes it.
"""

import json
from importlib import import_module
from pathlib import Path
from types import EllipsisType
from typing import Any

SCALED: EllipsisType = ...
ADDED = object()

PUBLISHED: tuple[str, ...] = tuple(sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py")))
"""The tiny checkpoints with published files."""
PARTS = {
    "preprocessor_config.json": ("feature_extractor", "image_processor"),
    "video_preprocessor_config.json": ("video_processor",),
}


def dress(name: str, folder: Path) -> bool:
    """Give a tiny checkpoint's files the published form, if there is one for ``name``; ``True`` if there is."""
    if name not in PUBLISHED:
        return False
    files = import_module(f"{__name__}.{name}").FILES
    written = {file: scaled(published, tiny(folder, file, published)) for file, published in files.items()}
    described = folder / "processor_config.json"
    if "preprocessor_config.json" in files and "processor_config.json" not in files and described.is_file():
        parts = {part for named in PARTS.values() for part in named}
        rest = {key: value for key, value in json.loads(described.read_text()).items() if key not in parts}
        described.write_text(json.dumps(rest)) if len(rest) > 1 else described.unlink()
    for file, content in written.items():
        (folder / file).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return True


def tiny(folder: Path, file: str, published: dict[str, Any]) -> dict[str, Any]:
    """What the tiny checkpoint says in a file, or says of that file's parts in ``processor_config.json``."""
    found: dict[str, Any] = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
    if not found and file in PARTS:
        whole = json.loads((folder / "processor_config.json").read_text())
        for part in PARTS[file]:
            found |= whole.get(part, {})
    if "text_config" in found and "text_config" not in published:  # older files have the decoder's keys at the top
        found = {**found["text_config"], **found}
    return found


def scaled(published: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    """The published values, and the tiny model's for sizes. Rotary settings have had two names."""
    found: dict[str, Any] = {}
    for key, value in published.items():
        other = {"rope_scaling": "rope_parameters", "rope_parameters": "rope_scaling"}.get(key, key)
        own = small.get(key, small.get(other))
        if isinstance(value, dict):
            found[key] = scaled(value, own if isinstance(own, dict) else {})
        else:
            found[key] = own if value is SCALED or value is ADDED else value
    return found
