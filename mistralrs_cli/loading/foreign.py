"""What a folder or repository holds in place of a checkpoint that can be read, by the names of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..resources import read_text

CONVERTED = re.compile(
    r"-(?:GGUF|MLX|ONNX|(?:i1|imatrix)|[48]bit|AWQ|GPTQ|EXL2|bf16|openvino|int[48])(?=-|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a model and the name of the model it was made from, where that is known."""

    files: frozenset[str]
    base: str | None = None


def contents(folder: Path, repository: str | None, revision: str | None, token: str | bool | None) -> Contents:
    """What a local folder or a hub repository holds. Where the hub cannot be reached, only what is here is known."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    base = from_adapter(folder)
    if repository is not None:
        listed, named = repository_files(repository, revision, token)
        files, base = files | listed, base or named
    elif base is None and (card := folder / "README.md").is_file():
        base = from_card(card)
    return Contents(frozenset(files), base)


def repository_files(repository: str, revision: str | None, token: str | bool | None) -> tuple[set[str], str | None]:
    """The hub's list of a repository's files, and the base model its card names."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repository, revision=revision, token=token)
    except Exception:  # the client lets errors of its HTTP library through; without an answer there is less to say
        return set(), None
    card: Any = info.card_data
    return {file.rfilename for file in info.siblings or ()}, first(card.get("base_model") if card else None)


def first(named: Any) -> str | None:
    """A name, or the first of several."""
    if isinstance(named, list) and named:
        named = named[0]
    return named if isinstance(named, str) and named else None


def from_adapter(folder: Path) -> str | None:
    """The model that an adapter says it belongs to."""
    try:
        return first(json.loads(read_text(folder / "adapter_config.json")).get("base_model_name_or_path"))
    except (OSError, ValueError, AttributeError):
        return None


def from_card(card: Path) -> str | None:
    """The ``base_model`` of a model card's front matter."""
    import yaml

    try:
        _, front, *_ = read_text(card).split("---\n", 2)
        return first(yaml.safe_load(front).get("base_model"))
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return None


def described(name: str, held: Contents, config: Mapping[str, Any] | None = None) -> tuple[str, str] | None:
    """What is there that is not read, and what to type instead; ``None`` where nothing is recognised."""
    original = f"-m {held.base}" if held.base else f"the model it was made from, perhaps {guessed(name)}"
    ends = {file.rpartition(".")[2].lower() for file in held.files if "." in file}
    if "model_index.json" in held.files:
        return (
            f"{name} is a diffusers pipeline: it makes images, and answers no questions.",
            "Name a model that answers, such as -m Qwen/Qwen3-VL-4B-Instruct",
        )
    if "adapter_config.json" in held.files and not any(is_model(file) for file in held.files):
        return (
            f"{name} is an adapter (LoRA), a part of a model only.",
            f"Merge it into its model with PEFT (merge_and_unload, save_pretrained), or use {original}",
        )
    if "gguf" in ends and not any(is_model(file) for file in held.files):
        return f"{name} holds GGUF files, which are not read.", f"Use {original}; --quant 4 makes it as small."
    if is_mlx(config or {}):
        return (
            f"{name} is packed for MLX, Apple's library, which is not read.",
            f"Use {original}; --quant 4 makes it as small.",
        )
    for suffix, words in {
        "onnx": "ONNX",
        "task": "MediaPipe",
        "litertlm": "LiteRT",
        "tflite": "TensorFlow Lite",
        "nemo": "NeMo",
        "mlpackage": "Core ML",
        "pte": "ExecuTorch",
        "llamafile": "llamafile",
        "h5": "TensorFlow",
        "msgpack": "Flax",
    }.items():
        if suffix in ends and not any(is_model(file) for file in held.files):
            return f"{name} holds {words} files, which are not read.", f"Use {original}"
    if any(file.startswith("openvino_") for file in held.files):
        return f"{name} holds OpenVINO files, which are not read.", f"Use {original}"
    return None


def is_model(file: str) -> bool:
    """Whether a file may hold the weights of a whole checkpoint: safetensors at the top that are no adapter's."""
    return "/" not in file and file.endswith(".safetensors") and not file.startswith("adapter_")


def is_mlx(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is MLX's: it says how wide groups are, and not which program made them."""
    found = config.get("quantization") or config.get("quantization_config")
    return isinstance(found, Mapping) and "group_size" in found and "quant_method" not in found


def guessed(name: str) -> str:
    """The name of a model without what converters add to it."""
    return CONVERTED.sub("", name.rstrip("/").rpartition("/")[2]) or name
