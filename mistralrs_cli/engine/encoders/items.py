"""One call of an encoder as the items it holds: its arguments taken apart, its results put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import torch
from transformers.utils.generic import ModelOutput

from ...families.encoder import Encoder

BULKY = frozenset({"hidden_states", "attentions"})  # of no use to the decoder


def split_inputs(encoder: Encoder, tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The tensors of each item; none where the call does not hold items as declared."""
    lengths = counts(encoder, tensors)
    total = sum(lengths)
    pieces: dict[str, Sequence[torch.Tensor]] = {}
    for name, tensor in tensors.items():
        axis = 0 if name == encoder.sizes else encoder.axis
        places = tensor.shape[axis] if tensor.dim() > axis else 0
        own = [1] * len(lengths) if name == encoder.sizes else lengths
        if not places or not total or places % sum(own):
            return []
        pieces[name] = tensor.split([length * (places // sum(own)) for length in own], axis)
    return [{name: found[index] for name, found in pieces.items()} for index in range(len(lengths))]


def counts(encoder: Encoder, tensors: dict[str, torch.Tensor]) -> list[int]:
    """How many places along the axis each item takes."""
    if encoder.sizes is not None:
        sizes = tensors.get(encoder.sizes)
        return [] if sizes is None else [int(size) for size in sizes.reshape(len(sizes), -1).prod(-1).tolist()]
    places = {tensor.shape[encoder.axis] for tensor in tensors.values() if tensor.dim() > encoder.axis}
    return [1] * places.pop() if len(places) == 1 else []


def stack_inputs(encoder: Encoder, items: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tensors of several items as one call takes them."""
    return {
        name: torch.cat([item[name] for item in items], 0 if name == encoder.sizes else encoder.axis)
        for name in items[0]
    }


def split_outputs(result: Any, count: int, axis: int) -> list[Any] | None:
    """A result as those of ``count`` items, each of the same form with one place; ``None`` where it has others."""
    match result:
        case torch.Tensor():
            fits = result.dim() > axis and result.shape[axis] == count
            return list(result.split(1, axis)) if fits else None
        case ModelOutput():
            found = {name: split_outputs(value, count, axis) for name, value in needed(result)}
            if None in found.values():
                return None
            return [output(result, {name: parts[i] for name, parts in found.items() if parts}) for i in range(count)]
        case list() | tuple() if all(isinstance(value, torch.Tensor) for value in result) and result:
            return [[value] for value in result] if len(result) == count else None
        case list() | tuple():  # layers of such lists
            layers = [split_outputs(layer, count, axis) for layer in result]
            return None if None in layers else [[layer[i] for layer in layers if layer] for i in range(count)]
        case _:
            return None


def needed(result: ModelOutput) -> Iterator[tuple[str, Any]]:
    """What of a result the decoder reads: where there are features, not the states that they were made of."""
    features = result.get("pooler_output") is not None
    for name, value in result.items():
        if name not in BULKY and not (name == "last_hidden_state" and features):
            yield name, value


def output(like: ModelOutput, values: dict[str, Any]) -> ModelOutput:
    """Another output of the same class, with these values alone."""
    names = [field.name for field in fields(like)]  # type: ignore[arg-type]
    return type(like)(**{name: values.get(name) for name in names})


def concat_outputs(parts: Sequence[Any], axis: int) -> Any:
    """The result of one call for all items, from those of each; a new object, since callers write into theirs."""
    first = parts[0]
    match first:
        case torch.Tensor():
            return torch.cat(list(parts), axis) if len(parts) > 1 else first
        case ModelOutput():
            return output(
                first, {name: concat_outputs([part[name] for part in parts], axis) for name in dict(first.items())}
            )
        case _ if first and not isinstance(first[0], torch.Tensor):
            return [concat_outputs(layer, axis) for layer in zip(*parts, strict=True)]
        case _:
            return [value for part in parts for value in part]


def tensors_of(result: Any) -> Iterator[torch.Tensor]:
    """All tensors in a result."""
    if isinstance(result, torch.Tensor):
        yield result
    else:
        for value in result.values() if isinstance(result, ModelOutput) else result:
            yield from tensors_of(value)


def bytes_of(result: Any) -> int:
    """The memory a result takes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_of(result))


def detach(result: Any) -> Any:
    """The same result in memory of its own: a part of a larger one would hold all of that."""
    match result:
        case torch.Tensor():
            whole = result.untyped_storage().nbytes() == result.numel() * result.element_size()
            return result if whole else result.clone()
        case ModelOutput():
            return output(result, {name: detach(value) for name, value in result.items()})
        case _:
            return [detach(value) for value in result]
