"""The device map that spreads the text layers of a model, as ``from_pretrained`` takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .decoder_layers import decoder_layers
from .placement import Placement

if TYPE_CHECKING:
    import torch


def skeleton(automodel: Any, config: Any, *, trust_remote_code: bool) -> torch.nn.Module:
    """The model without weights: its modules on the meta device."""
    import torch

    with torch.device("meta"):
        model: torch.nn.Module = automodel.from_config(config, trust_remote_code=trust_remote_code)
    return model


def device_map(model: torch.nn.Module, placement: Placement) -> dict[str, str | int]:
    """The ``device_map`` argument of ``from_pretrained``: every module of the model on its device.

    Modules that hold the list of text layers are split into their children, so that the layers alone are spread.
    Raises ``OptionError`` for a pattern of a topology that cannot be followed.
    """
    layers = decoder_layers(model)
    found = dict(spread(model, "", layers, placement))
    for pattern, device in placement.pinned:
        modules = sorted({name.rpartition(".")[0] for name, _ in model.named_parameters() if re.search(pattern, name)})
        if not modules:
            raise OptionError(f"The topology's /{pattern}/ matches no weight.", "Patterns are searched in full names.")
        for name in modules:
            pin(found, model, name, device, layers, placement)
    return {name: ordinal(device) for name, device in found.items()}


def pin(
    found: dict[str, str], model: torch.nn.Module, name: str, device: str, layers: str, placement: Placement
) -> None:
    """Put one module on a device, and split the entry that held it.

    A layer's results stay on one device, so a part of it may rest elsewhere but not compute elsewhere; and what lies
    outside the layers is read by more than its own module, so it cannot rest.
    """
    owner = next(key for key in covering(name) if key in found)
    computing = {place: placement.rest if placement.rests(place) else place for place in (found[owner], device)}
    if computing[device] != computing[found[owner]] or (placement.rests(device) and not name.startswith(f"{layers}.")):
        raise OptionError(
            f"The topology cannot put {name} on {device}: it belongs to a part that computes on {found[owner]}.",
            "A pattern may send parts of text layers to cpu or disk to rest; ranges move whole layers.",
        )
    while owner != name:
        place, module = found.pop(owner), model.get_submodule(owner)
        children = [child for child, _ in module.named_children()]
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        found |= {f"{owner}.{part}": place for part in (*children, *(key for key, _ in own))}
        owner = next(key for key in covering(name) if key in found)
    found[name] = device


def covering(name: str) -> list[str]:
    """A module's name and those of the modules around it, from the inside out."""
    words = name.split(".")
    return [".".join(words[:end]) for end in range(len(words), 0, -1)]


def spread(module: torch.nn.Module, name: str, layers: str, placement: Placement) -> Iterator[tuple[str, str]]:
    """The parts of a module that contains the text layers, and their devices."""
    if name == layers:
        for number, device in enumerate(placement.layers):
            yield f"{layers}.{number}", device
        return
    if name and not layers.startswith(f"{name}."):
        yield name, placement.rest
        return
    prefix = f"{name}." if name else ""
    for child, part in module.named_children():
        yield from spread(part, prefix + child, layers, placement)
    for own, _ in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        yield prefix + own, placement.rest


def ordinal(device: str) -> str | int:
    """``cuda:1`` as accelerate wants it: a number. It takes the lowest one for the device that leads."""
    return int(device.removeprefix("cuda:")) if device.startswith("cuda:") else device
