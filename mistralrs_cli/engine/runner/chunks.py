"""Where a prompt may be cut into chunks, and which of the model's arguments belong to which chunk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...messages import Modality
from ..encoders.items import output as like

BY_TOKEN = ("token_type_ids", "mm_token_type_ids", "moe_mm_token_type_ids")  # each int64 [1, tokens]
SHARED = ("past_key_values", "use_cache", "logits_to_keep")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What an encoder made of all media of one modality: a row for each placeholder token, at ``places``."""

    output: Any  # a transformers ModelOutput
    places: torch.Tensor  # int64 [rows], ascending

    def between(self, start: int, end: int) -> Any | None:
        """The rows for the placeholders from ``start`` to ``end``, if there are any."""
        inside = (self.places >= start) & (self.places < end)
        return rows_of(self.output, inside.nonzero()[:, 0]) if inside.any() else None


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """How to cut a prompt ``ids`` int64 [1, tokens] with the ``arguments`` that ``generate`` has prepared for it.

    ``features`` are by modality. What the model encodes itself, or takes as a whole, is ``undivided``: arguments that
    go with the chunk that holds the ``media`` span, and with no other. No chunk ends inside one of the ``whole`` spans.
    """

    ids: torch.Tensor
    arguments: Mapping[str, Any]
    features: Mapping[Modality, Features]
    undivided: Mapping[str, Any]
    media: Span | None
    whole: tuple[Span, ...]

    def end(self, start: int, tokens: int) -> int:
        """Where a chunk of ``tokens`` tokens from ``start`` ends: earlier, or where it must be later, for a medium."""
        end = min(start + max(tokens, 1), self.ids.shape[1])
        for first, last in self.whole:
            if first < end < last:
                return first if first > start else last
        return end

    def of(self, start: int, end: int) -> dict[str, Any]:
        """The keyword arguments of ``prepare_inputs_for_generation`` for the tokens from ``start`` to ``end``."""
        found = dict(self.undivided) if self.media is not None and start <= self.media[0] < end else {}
        rows = {kind: part for kind, all in self.features.items() if (part := all.between(start, end)) is not None}
        if rows:
            found["mm_encoder_outputs"] = found.get("mm_encoder_outputs", {}) | rows
        found |= {name: self.arguments[name] for name in SHARED if name in self.arguments}
        found |= {name: self.arguments[name][..., :end] for name in BY_TOKEN if name in self.arguments}
        if (mask := self.arguments.get("attention_mask")) is not None:
            found["attention_mask"] = mask[:, :end]
        positions = self.arguments["position_ids"]
        first = self.ids.shape[1] - positions.shape[-1]  # a prompt that goes on from a cache may have the others only
        return found | {
            "input_ids": self.ids[:, start:end],
            "position_ids": positions[..., start - first : end - first],
        }


def chunks_of(
    ids: torch.Tensor,
    start: int,
    arguments: Mapping[str, Any],
    placeholders: Mapping[Modality, Iterable[int]],
    *,
    divisible: bool,
) -> Chunks | None:
    """How to cut a prompt of which the cache has ``start`` tokens; ``None`` where its media cannot be found in it.

    ``placeholders`` are the tokens that stand for each modality. Encoded media may be cut where they are
    ``divisible``; what the model encodes itself is never cut, nor are several of those.
    """

    def places_of(tokens: Iterable[int]) -> torch.Tensor:
        wanted = torch.tensor(sorted(tokens), dtype=ids.dtype, device=ids.device)
        return start + torch.isin(ids[0, start:], wanted).nonzero()[:, 0]

    outputs = {
        kind: output for kind, output in (arguments.get("mm_encoder_outputs") or {}).items() if output is not None
    }
    features = {}
    for kind in list(outputs):
        places = places_of(placeholders[kind])
        if row_count(outputs[kind]) == len(places):
            features[kind] = Features(outputs.pop(kind), places)
    common = {*SHARED, *BY_TOKEN, "attention_mask", "position_ids", "mm_encoder_outputs"}
    others = {name: value for name, value in arguments.items() if name not in common}
    known = {token for kind in features for token in placeholders[kind]}
    places = places_of({token for kind in placeholders for token in placeholders[kind]} - known)
    whole = [] if divisible else [run for each in features.values() for run in runs(each.places.tolist())]
    if not len(places):
        return None if outputs else Chunks(ids, arguments, features, {}, None, tuple(merged(whole)))
    media = int(places[0]), int(places[-1]) + 1
    undivided = others | ({"mm_encoder_outputs": outputs} if outputs else {})
    return Chunks(ids, arguments, features, undivided, media, tuple(merged([media, *whole])))


def row_count(output: Any) -> int:
    """How many placeholder tokens an encoder's pooled features are for; -1 where it has none."""
    pooled = output.get("pooler_output")
    parts = [pooled] if isinstance(pooled, torch.Tensor) else pooled
    return -1 if parts is None else sum(part.numel() // part.shape[-1] for part in parts)


def rows_of(output: Any, rows: torch.Tensor) -> Any:
    """An encoder's output of the same class with the features of some placeholder tokens, ``rows`` int64 [tokens].

    Models read a tensor [media, tokens, width], or a list of tensors [tokens, width]; features that go into layers of
    the decoder (deepstack) are such a value for each layer.
    """

    def taken(features: Any) -> Any:
        found = torch.cat([part.reshape(-1, part.shape[-1]) for part in features])[rows]
        return found[None] if isinstance(features, torch.Tensor) else [found]

    values = {"pooler_output": taken(output["pooler_output"])}
    if (layers := output.get("deepstack_features")) is not None:
        values["deepstack_features"] = [taken(layer) for layer in layers]
    return like(output, values)


def runs(places: list[int]) -> Iterable[Span]:
    """Where consecutive ``places``, ascending, begin and end."""
    begin = None
    for index, place in enumerate(places):
        begin = place if begin is None else begin
        if index + 1 == len(places) or places[index + 1] != place + 1:
            yield begin, place + 1
            begin = None


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap as one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first < found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
