"""One token for all sequences of a batch: the forward pass alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..kv.base import KVCache
from ..sequence import SequenceState


def decode(model: Any, cache: KVCache, sequences: Sequence[SequenceState]) -> torch.Tensor:
    """Run the last token of every sequence; the logits of the next ones, float32 [sequences, vocabulary].

    ``cache`` has a row for each of them, in the same order. Where that fails nothing has changed, and it can be done
    again, with fewer sequences for instance.
    """
    inputs = cache.step_inputs()
    try:
        outputs = model(
            input_ids=torch.cat([sequence.ids[:, -1:] for sequence in sequences]),
            position_ids=torch.cat([sequence.position for sequence in sequences], dim=-2),
            **inputs,
            **{name: torch.cat([sequence.carried[name] for sequence in sequences]) for name in sequences[0].carried},
        )
        logits: torch.Tensor = outputs.logits[:, -1].float()
    except BaseException:
        cache.rollback()
        raise
    cache.commit()
    for sequence in sequences:
        sequence.cached += 1
        sequence.position = sequence.position + 1
    return logits
