"""One token for all sequences of a batch: the forward pass alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional

from ..kv.base import KVCache
from ..sequence import SequenceState


def decode(
    forward: Callable[[Mapping[str, Any]], torch.Tensor], cache: KVCache, sequences: Sequence[SequenceState]
) -> torch.Tensor:
    """Run the last token of every sequence; the logits of the next ones, float32 [sequences, vocabulary].

    ``cache`` has a row for each of them, in the same order, and maybe more behind. ``forward`` computes the logits of
    all rows from the model's keyword arguments. Where that fails nothing has changed, and it can be done again, with
    fewer sequences for instance.
    """
    inputs = cache.step_inputs()
    unused = cache.rows - len(sequences)
    try:
        given = {
            "input_ids": torch.cat([sequence.ids[:, -1:] for sequence in sequences]),
            "position_ids": torch.cat([sequence.position for sequence in sequences], dim=-2),
        }
        if unused:
            given = {name: functional.pad(tensor, (0, 0, 0, unused)) for name, tensor in given.items()}
        carried = sequences[0].carried
        more = {name: torch.cat([sequence.carried[name] for sequence in sequences]) for name in carried}
        logits = forward({**given, **inputs, **more})[: len(sequences)]
    except BaseException:
        cache.rollback()
        raise
    cache.commit()
    for sequence in sequences:
        sequence.cached += 1
        sequence.position = sequence.position + 1
    return logits
