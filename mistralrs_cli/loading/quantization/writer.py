"""Quantized checkpoints on disk: written to a folder of the user's, or to the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...folders import cache_folder
from ..checkpoint import SMALL_FILES, Checkpoint
from ..headers import read_headers
from ..weights import INDEX, SINGLE, weight_files
from .plan import Pin
from .request import QuantizationRequest
from .types import LAYOUT

if TYPE_CHECKING:
    import torch

MANIFEST = "quantized.json"
WORTH_KEEPING = 100 << 20
"""Bytes of weights below which quantizing again takes no time worth a copy."""
SHARD = 5_000_000_000


@dataclass(frozen=True, slots=True)
class CachedCopy:
    """A copy that an earlier run kept: of which model, quantized how, where, and its size in bytes."""

    model: str
    option: str
    folder: Path
    size: int


def copies_folder() -> Path:
    """The folder of all copies."""
    return cache_folder() / "quantized"


def copy_folder(
    checkpoint: Checkpoint, folder: Path, request: QuantizationRequest, device: torch.device, pins: Sequence[Pin] = ()
) -> Path:
    """Where the copy of a checkpoint whose weights lie in ``folder`` is kept, if it is.

    The name tells its weight files apart by their sizes and times (on the hub's side also by their content, which the
    files' names hold), its configuration, and everything that decides what the weights become.
    """
    from .fastest import eight_bits

    files = [file.resolve() for file in weight_files(folder, checkpoint.name)]
    facts = {
        "layout": LAYOUT,
        "config": checkpoint.config,
        "slice": checkpoint.slice and checkpoint.slice.name,
        "files": [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files],
        "type": request.type,
        "device": device.type,
        "eight": eight_bits(device),
        "experts_only": request.experts_only,
        "pins": [str(pin) for pin in pins],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in checkpoint.name.strip("/"))
    return copies_folder() / f"{name[-80:]}-{request.type}-{digest}"


def as_written(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint as its written copy: quantized weights, and slices already cut."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return replace(checkpoint, folder=folder, config=config, repository=None, slice=None)


def is_whole(folder: Path) -> bool:
    """Whether a written checkpoint is there with all its files, each of its full size."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def cached_copies() -> list[CachedCopy]:
    """Every copy that is kept, the largest first."""
    found = []
    for manifest in copies_folder().glob(f"*/{MANIFEST}"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            said = json.loads(manifest.read_text(encoding="utf-8"))
            size = sum(file.stat().st_size for file in manifest.parent.iterdir())
            found.append(CachedCopy(str(said["model"]), str(said["option"]), manifest.parent, size))
    return sorted(found, key=lambda copy: (-copy.size, copy.model))


def write_checkpoint(model: Any, checkpoint: Checkpoint, source: Path, target: Path, option: str) -> int:
    """Write a quantized model as a checkpoint of its own, and return its bytes.

    ``source`` has the small files that go with it. The folder appears when it is complete, never before. Raises
    ``OSError``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        for pattern in SMALL_FILES:
            for file in source.glob(pattern):
                if file.name not in (INDEX, MANIFEST):
                    shutil.copyfile(file, draft / file.name)
        for adapter in source.glob("*/adapter_config.json"):
            shutil.copytree(adapter.parent, draft / adapter.parent.name)
        config = json.dumps(written_config(model, checkpoint.config), indent=2)
        (draft / "config.json").write_text(config, encoding="utf-8")
        save_tensors(stored_tensors(model, checkpoint.config, wide_names(source)), draft)
        sizes = {str(file.relative_to(draft)): file.stat().st_size for file in draft.rglob("*") if file.is_file()}
        manifest = {"model": checkpoint.name, "option": option, "files": sizes}
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target) if not is_whole(target) else None
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sum(sizes.values())


def written_config(model: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The ``config.json`` of a quantized copy: the original's, how it is quantized, and a head of its own if it has.

    A head whose rows the embedding reads stays tied to it.
    """
    quantization = model.hf_quantizer.quantization_config.to_dict()
    written = {**config, "quantization_config": quantization}
    head = model.get_output_embeddings()
    tied = getattr(model.get_input_embeddings(), "head", ()) == (head,)
    if not tied and any(model.get_submodule(name.rpartition(".")[0]) is head for name in quantization["types"]):
        written["tie_word_embeddings"] = False
        if isinstance(config.get("text_config"), dict):
            written["text_config"] = {**config["text_config"], "tie_word_embeddings": False}
    return written


def wide_names(folder: Path) -> frozenset[str]:
    """The ends of the names of what a checkpoint has in float32: models put other names before some."""
    return frozenset(ending(name) for name, stored in read_headers(folder).items() if stored.dtype == "F32")


def ending(name: str) -> str:
    """The last words of a weight's name."""
    return ".".join(name.split(".")[-3:])


def stored_tensors(model: Any, config: Mapping[str, Any], wide: Collection[str]) -> dict[str, torch.Tensor]:
    """A model's tensors by name, each once.

    What was widened to float32 for this CPU goes back to what it was, but for names with an ``ending`` in ``wide``.
    """
    import torch
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    from .layers import QuantizedModule

    text = config.get("text_config") or {}
    said = config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    original = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(str(said))
    packed = {
        f"{path}.{name}_{part}"
        for path, module in model.named_modules()
        if isinstance(module, QuantizedModule)
        for name, quantized in module.quantized.items()
        for part in quantized.parts
    }
    found = {}
    for name, tensor in remove_tied_weights_from_state_dict(model.state_dict(), model).items():
        narrow = original is not None and tensor.dtype == torch.float32
        narrow = narrow and name not in packed and ending(name) not in wide
        found[name] = (tensor.to(original) if narrow else tensor).contiguous()
    return found


def save_tensors(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Write safetensors files, with an index if there are several."""
    from huggingface_hub import split_torch_state_dict_into_shards

    from .aligned import save_aligned

    split = split_torch_state_dict_into_shards(
        tensors, max_shard_size=SHARD, filename_pattern="model{suffix}.safetensors"
    )
    for file, names in split.filename_to_tensors.items():
        save_aligned({name: tensors[name] for name in names}, folder / file)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    else:
        assert (folder / SINGLE).is_file()
