"""Which files of a folder are the weights that will be read."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import UnsupportedModel
from ..resources import read_text

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
AGAIN = "Download the checkpoint again."


def weight_files(folder: Path, name: str | None = None) -> list[Path]:
    """The safetensors files that transformers reads of a checkpoint: the one file, else those of its index, in order.

    Raises ``UnsupportedModel`` where there are none, where some of the index are missing, and where only other
    formats are there: pickled, GGUF, or Mistral's own ``consolidated.safetensors``, whose weights go by other names.
    """
    name = name or str(folder)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    index = folder / INDEX
    if index.is_file():
        files = indexed(name, index)
        if missing := [file.name for file in files if not file.is_file()]:
            raise UnsupportedModel(
                f"{name} lacks {len(missing)} of its {len(files)} weight files, {missing[0]} among them.", AGAIN
            )
        return files
    raise UnsupportedModel(*reason(name, {file.name for file in folder.iterdir()}))


def indexed(name: str, index: Path) -> list[Path]:
    """The files that an index names, each once."""
    try:
        names = set(json.loads(read_text(index))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnsupportedModel(f"The weight index of {name} cannot be read.", AGAIN) from error
    if not names or not all(isinstance(file, str) and Path(file).name == file for file in names):
        raise UnsupportedModel(f"The weight index of {name} names no files of its folder.", AGAIN)
    return [index.parent / file for file in sorted(names)]


def reason(name: str, found: set[str]) -> tuple[str, str]:
    """What is there in place of weights, and what to do."""
    if any(file.startswith("consolidated") for file in found):
        return (
            f"{name} holds Mistral's own layout only (consolidated.safetensors), whose weights go by other names.",
            "Use the files in the Hugging Face layout: model.safetensors, or shards with model.safetensors.index.json.",
        )
    if any(file.endswith(".safetensors") for file in found):
        return (
            f"{name} holds safetensors files, but neither model.safetensors nor an index of shards.",
            "Put model.safetensors.index.json beside the shards, or name the one file model.safetensors.",
        )
    return (
        f"{name} has no safetensors weights.",
        "Pickled .bin and GGUF weights are not read; use a safetensors release.",
    )
