"""Which family a checkpoint belongs to, and what it must be able to read."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from ..errors import TooManyMedia, UnsupportedModality, UnsupportedModel
from ..messages import MODALITIES, Modality
from .automodels import class_name
from .base import Family, Prepared
from .text import TextFamily
from .vision import VisionFamily

__all__ = ["Family", "Prepared", "TextFamily", "VisionFamily", "family_for", "own_family", "require"]

READERS: dict[Modality, str] = {
    "image": "-m Qwen/Qwen3-VL-4B-Instruct",
    "audio": "-m google/gemma-4-E4B-it",
    "video": "-m google/gemma-4-E4B-it",
}
THINKER = "thinker_config"
MEDIA: dict[Modality, str] = {"image": "images", "audio": "audio", "video": "video"}


def listed(words: list[str]) -> str:
    """``text, images and audio``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def family_for(config: Mapping[str, Any]) -> Family:
    """The family of a checkpoint's ``config.json``: the file named after its ``model_type``, else a generic one.

    Of a model in parts the one that reads and writes text counts, the thinker. Raises ``UnsupportedModel`` where the
    configuration names no architecture.
    """
    if isinstance(thinker := config.get(THINKER), dict):
        family = family_for({"model_type": f"{config.get('model_type')}_thinker", **thinker})
        family.part = THINKER
        return family
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not re.fullmatch(r"\w[\w.-]*", model_type):
        raise UnsupportedModel(
            "The checkpoint's config.json has no usable model_type.",
            "Is this a transformers checkpoint? Point -m to a folder with config.json and safetensors files.",
        )
    own = own_family(model_type)
    if own is not None:
        return own(config)
    has_towers = any(config.get(key) is not None for key in ("vision_config", "audio_config"))
    reads_media = has_towers or class_name(model_type, VisionFamily.automodel) is not None
    return VisionFamily(config) if reads_media else TextFamily(config)


def own_family(model_type: str) -> type[Family] | None:
    """The family with a file of its own for a ``model_type``."""
    name = f"{__name__}.{re.sub('[.-]', '_', model_type)}"
    if importlib.util.find_spec(name) is None:
        return None
    family: type[Family] | None = getattr(importlib.import_module(name), "FAMILY", None)
    return family


class Reader(Protocol):
    """A family, or what an engine says of its model."""

    @property
    def modalities(self) -> Collection[Modality]: ...


def require(family: Reader, name: str, kinds: Iterable[Modality], most_images: int | None = None) -> None:
    """Raise for media that this checkpoint cannot read or that are too many, before anything is loaded.

    ``kinds`` has one entry for every medium of a request. Raises ``UnsupportedModality`` and ``TooManyMedia``.
    """
    kinds = list(kinds)
    images = kinds.count("image")
    if most_images is not None and images > most_images:
        raise TooManyMedia(
            f"The request holds {images} images, but --max-num-images is {most_images}.",
            "Send fewer, or start with a higher --max-num-images.",
        )
    for kind in kinds:
        if kind not in family.modalities:
            reads = [modality for modality in MODALITIES if modality in family.modalities]
            raise UnsupportedModality(
                f"{name} does not read {MEDIA[kind]}: it reads {listed(['text', *(MEDIA[kind] for kind in reads)])}.",
                f"For {MEDIA[kind]}, try {READERS[kind]}",
            )
