"""A checkpoint in the file layout that the hub's older repositories have."""

import json
import re
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.checkpoints import builders

NESTED = ("image_processor", "feature_extractor", "audio_processor")


def older_layout(name: str, today: Path, folder: Path) -> Path:
    """Copy the checkpoint ``name`` from ``today`` to ``folder``: one file for each part of the processor, the template
    in ``chat_template.json``, and the older names of the weights where its builder knows them."""
    shutil.copytree(today, folder, dirs_exist_ok=True)
    described = folder / "processor_config.json"
    if described.exists():
        split(json.loads(described.read_text()), folder)
    template = folder / "chat_template.jinja"
    if template.exists():
        write(folder / "chat_template.json", {"chat_template": template.read_text()})
        template.unlink()
    if not described.exists() and not (folder / "preprocessor_config.json").exists():
        into_tokenizer(folder)
    rename(folder / "model.safetensors", getattr(import_module(f"{builders.__name__}.{name}"), "OLDER_NAMES", ()))
    return folder


def split(processor: dict[str, Any], folder: Path) -> None:
    """``processor_config.json`` keeps its plain values; pictures and sounds share a file, clips have their own."""
    kind = {"processor_class": processor["processor_class"]}
    parts = {key: value for name in NESTED for key, value in processor.pop(name, {}).items()}
    clips = processor.pop("video_processor", None)
    if parts:
        write(folder / "preprocessor_config.json", parts | kind)
    if clips is not None:
        write(folder / "video_preprocessor_config.json", clips | kind)
    if processor == kind:
        (folder / "processor_config.json").unlink()
    else:
        write(folder / "processor_config.json", processor)


def into_tokenizer(folder: Path) -> None:
    """Text models kept their template in ``tokenizer_config.json``."""
    source, target = folder / "chat_template.json", folder / "tokenizer_config.json"
    if source.exists():
        write(target, json.loads(target.read_text()) | json.loads(source.read_text()))
        source.unlink()


def rename(weights: Path, names: Sequence[tuple[str, str]]) -> None:
    """Give the weights the names that an older version wrote."""
    from safetensors.torch import load_file, save_file

    if names:
        tensors = {older_name(name, names): tensor for name, tensor in load_file(weights).items()}
        save_file(tensors, weights, metadata={"format": "pt"})


def older_name(name: str, names: Sequence[tuple[str, str]]) -> str:
    """The name after the first rule that matches it."""
    for pattern, replacement in names:
        if re.search(pattern, name):
            return re.sub(pattern, replacement, name)
    return name


def write(file: Path, value: dict[str, Any]) -> None:
    """A JSON file."""
    file.write_text(json.dumps(value), encoding="utf-8")
