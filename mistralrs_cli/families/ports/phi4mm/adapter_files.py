"""The adapters of Phi-4 Multimodal in transformers' own layout: PEFT's files in folders beside the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ....errors import UnsupportedModel
from ....resources import read_text
from .adapters import AdaptedLinear, adapt

FOLDERS = {"vision": "vision-lora", "speech": "speech-lora"}
WEIGHTS = "adapter_model.safetensors"


def attach(model: Any, folder: Path) -> None:
    """Put the adapters found in ``vision-lora`` and ``speech-lora`` beside the decoder's layers.

    They take the device of the layer they adapt and the model's precision. Raises ``UnsupportedModel`` where a file
    lacks weights.
    """
    found = {name: folder / place for name, place in FOLDERS.items() if (folder / place / WEIGHTS).is_file()}
    adapters = {}
    for name, place in found.items():
        settings = json.loads(read_text(place / "adapter_config.json"))
        adapters[name] = (int(settings["r"]), settings["lora_alpha"] / settings["r"])
    adapt(model, adapters)
    for name, place in found.items():
        read(model, name, place)


def read(model: Any, name: str, place: Path) -> None:
    """Copy one adapter's weights to their layers."""
    from safetensors import safe_open

    with safe_open(place / WEIGHTS, framework="pt") as file:
        keys: list[str] = file.keys()
        names = {key.removeprefix("base_model.model.").replace(f".{name}.", "."): key for key in keys}
        for path, layer in model.named_modules():
            if not isinstance(layer, AdaptedLinear):
                continue
            device = next(layer.base_layer.parameters()).device
            for part in ("lora_A", "lora_B"):
                key = names.get(f"{path}.{part}.weight")
                if key is None:
                    raise UnsupportedModel(
                        f"The adapter {place.name} lacks {path}.{part}.", "Download the checkpoint again."
                    )
                linear = getattr(layer, part)[name]
                linear.to(device, model.dtype)
                linear.weight.data = file.get_tensor(key).to(device, model.dtype)
