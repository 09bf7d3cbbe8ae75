"""The stack of text layers inside a model, found by its shape, and the device map that spreads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, UnsupportedModel
from .placement import Placement

if TYPE_CHECKING:
    import torch

STACK = re.compile(r"(?:.*\.)?(?:layers|blocks|h)")
OTHERS = ("encoder", "tower", "apm", "vpm", "mtp", "tts")


def skeleton(automodel: Any, config: Any, *, trust_remote_code: bool) -> torch.nn.Module:
    """The model without weights: its modules on the meta device."""
    import torch

    with torch.device("meta"):
        model: torch.nn.Module = automodel.from_config(config, trust_remote_code=trust_remote_code)
    return model


def find_stack(model: torch.nn.Module, towers: Collection[str]) -> tuple[str, int]:
    """The name of the longest list of layers outside the towers, and how many there are."""
    import torch

    outside = re.compile("|".join([*towers, *OTHERS]))
    found = [
        (name, len(module))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and STACK.fullmatch(name) and not outside.search(name)
    ]
    if not found:
        raise UnsupportedModel(
            f"No stack of text layers was found in a {type(model).__name__}.", "Load it on one device."
        )
    return max(found, key=lambda item: item[1])


def device_map(model: torch.nn.Module, placement: Placement, towers: Collection[str]) -> dict[str, str | int]:
    """The ``device_map`` argument of ``from_pretrained``: every module of the model on its device.

    Modules above the stack are split into their children, so that the layers alone are spread. Raises ``OptionError``
    for a pattern of a topology that cannot be followed.
    """
    stack, _ = find_stack(model, towers)
    found = dict(spread(model, "", stack, placement))
    for pattern, device in placement.pinned:
        modules = sorted({name.rpartition(".")[0] for name, _ in model.named_parameters() if re.search(pattern, name)})
        if not modules:
            raise OptionError(f"The topology's /{pattern}/ matches no weight.", "Patterns are searched in full names.")
        for name in modules:
            pin(found, model, name, device, stack, placement)
    return {name: ordinal(device) for name, device in found.items()}


def pin(
    found: dict[str, str], model: torch.nn.Module, name: str, device: str, stack: str, placement: Placement
) -> None:
    """Put one module on a device, and split the entry that held it.

    A layer's results stay on one device, so a part of it may rest elsewhere but not compute elsewhere; and what lies
    outside the layers is read by more than its own module, so it cannot rest.
    """
    owner = next(key for key in covering(name) if key in found)
    computing = {place: placement.rest if placement.rests(place) else place for place in (found[owner], device)}
    if computing[device] != computing[found[owner]] or (placement.rests(device) and not name.startswith(f"{stack}.")):
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


def spread(module: torch.nn.Module, name: str, stack: str, placement: Placement) -> Iterator[tuple[str, str]]:
    """The parts of a module that contains the stack, and their devices."""
    if name == stack:
        for number, device in enumerate(placement.layers):
            yield f"{stack}.{number}", device
        return
    if name and not stack.startswith(f"{name}."):
        yield name, placement.rest
        return
    prefix = f"{name}." if name else ""
    for child, part in module.named_children():
        yield from spread(part, prefix + child, stack, placement)
    for own, _ in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        yield prefix + own, placement.rest


def ordinal(device: str) -> str | int:
    """``cuda:1`` as accelerate wants it: a number. It takes the lowest one for the device that leads."""
    return int(device.removeprefix("cuda:")) if device.startswith("cuda:") else device
