"""The hub as the pages know it: behind each model's name lies a tiny one of its family."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mistralrs_cli.families.registry import listed
from mistralrs_cli.loading.torchvision import ensure_importable
from tests.checkpoints.builders import gemma3n
from tests.checkpoints.speech import parakeet, whisper

COMMIT = "c0ffee" + "0" * 34
OTHERS = {
    "llava-hf/llava-v1.6-vicuna-7b-hf": "llava_next_vicuna",
    "nvidia/parakeet-tdt-0.6b-v3": "parakeet",
    "openai/whisper-small": "whisper",
}
LONGEST, CONTEXT = 3, 16_384
"""Tokens of an answer, and those that a conversation may have."""


def checkpoint(name: str) -> str:
    """The tiny checkpoint for a model of the hub. Raises ``KeyError`` for a model that no family lists."""
    examples = {family.listing.example: kind for kind, family in listed().items() if family.listing is not None}
    return (examples | OTHERS)[name]


def provide(name: str, cache: Path, written: Callable[[str], Path]) -> None:
    """Put a model into a cache of the hub, as if it had been downloaded."""
    repository = cache / f"models--{name.replace('/', '--')}"
    if repository.exists():
        return
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    folder = repository / "snapshots" / COMMIT
    kind = checkpoint(name)
    if kind in ("whisper", "parakeet"):
        ensure_importable()
        folder.mkdir(parents=True)
        whisper.write(folder) if kind == "whisper" else parakeet.write(folder, "tdt")
        return
    if kind == "gemma3n":
        ensure_importable()
        for part in gemma3n.build(gemma3n.NESTED):
            part.save_pretrained(folder)
    else:
        shutil.copytree(written(kind), folder)
    change(folder / "generation_config.json", lambda config: config.update(max_new_tokens=LONGEST))
    change(folder / "config.json", lambda config: lengthen(config.get("text_config", config)))


def lengthen(decoder: dict[str, Any]) -> None:
    """Room for the clips of the pages; stretched positions stay as they are."""
    if "factor" not in (decoder.get("rope_parameters") or {}):
        decoder["max_position_embeddings"] = CONTEXT


def change(file: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a JSON file."""
    value = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    edit(value)
    file.write_text(json.dumps(value), encoding="utf-8")
