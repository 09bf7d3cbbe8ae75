"""A prompt that is too long, cut at its beginning: only for a request that asks for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..errors import ContextOverflow
from ..families import Prepared

ANSWER_SHARE = 4  # the answer keeps a quarter of the context where the request does not say how long it may be


def truncated(prepared: Prepared, context: int | None, max_tokens: int | None) -> Prepared:
    """The last tokens of the prompt, so many that the answer has room.

    Raises ``ContextOverflow`` where a medium is in the way: half of one would be something else.
    """
    if context is None:
        return prepared
    kept = context - min(max_tokens or context // ANSWER_SHARE, context - 1)
    if prepared.prompt_tokens <= kept:
        return prepared
    if prepared.media:
        raise ContextOverflow(
            f"The prompt has {prepared.prompt_tokens:,} tokens of {context:,}, and one with media cannot be truncated.",
            "Send fewer or smaller media.",
        )
    length = prepared.prompt_tokens
    inputs = {
        key: value[..., -kept:] if isinstance(value, torch.Tensor) and value.shape[-1:] == (length,) else value
        for key, value in prepared.inputs.items()
    }
    return replace(prepared, inputs=inputs, prompt_tokens=kept)
