"""Every family with a file of its own: its names, what it reads, and a model to try. Imports no torch."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, UnsupportedModel

if TYPE_CHECKING:
    from .base import Family


@cache
def listed() -> Mapping[str, type[Family]]:
    """The families that list themselves, by ``model_type``, in the order of their names."""
    package = importlib.import_module(__package__ or "")
    found: dict[str, type[Family]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            continue
        family = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "FAMILY", None)
        if family is not None and family.listing is not None:
            found[module.name] = family
    return dict(sorted(found.items(), key=lambda pair: (pair[1].name.lower(), pair[0])))


def architectures() -> tuple[str, ...]:
    """Every name that ``--arch`` takes for a multimodal model."""
    names = {family.listing.architecture for family in listed().values() if family.listing is not None}
    return tuple(sorted(names, key=str.lower))


def require_architecture(name: str, config: Mapping[str, Any], family: Family, wanted: str) -> None:
    """Refuse a checkpoint that is not of the architecture the user named, with ``UnsupportedModel``.

    Raises ``OptionError`` for a name of none.

    Case, dots, hyphens and underscores do not count: ``Qwen2_5VL``, ``qwen2_5vl`` and the checkpoint's own
    ``qwen2_5_vl`` are one. Text models are known by their ``model_type``.
    """
    model_type = str(config.get("model_type"))
    known = family.listing.architecture if family.listing is not None else model_type
    if plain(wanted) in {plain(known), plain(model_type)}:
        return
    others = {plain(one): one for one in architectures()}
    if plain(wanted) not in others and not is_model_type(wanted):
        close = difflib.get_close_matches(plain(wanted), others, n=1, cutoff=0.7)
        guess = f"Did you mean {others[close[0]]}? " if close else ""
        raise OptionError(
            f"There is no architecture {wanted}.", f"{guess}Multimodal ones are called {', '.join(architectures())}."
        )
    raise UnsupportedModel(
        f"{name} is {known}, not {others.get(plain(wanted), wanted)}.",
        f"Leave out --arch, which only checks, or say --arch {known}",
    )


def is_model_type(name: str) -> bool:
    """Whether transformers knows a ``model_type`` of that name."""
    from transformers import CONFIG_MAPPING

    return plain(name) in map(plain, CONFIG_MAPPING.keys())


def plain(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
