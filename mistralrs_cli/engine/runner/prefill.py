"""A prompt through the model, from its tensors to a sequence with a KV cache."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LogitsProcessorList

from ..kv.layers import set_cross_attention
from ..kv.prefix import Reuse
from ..kv.snapshot import SequenceCache
from ..sequence import SequenceState
from . import compat
from .rotary import dynamic_rope_modules, reset_dynamic_rope

CARRIED = ("cross_attention_mask",)  # arguments of the model with a row for each token, the same for all to come
NO_LIMIT = 1 << 20  # tokens; ``generate`` would warn without a limit, but its loop never runs


def prefill(
    model: Any,
    inputs: dict[str, Any],
    reuse: Reuse | None = None,
    *,
    every: bool = False,
) -> tuple[SequenceState, torch.Tensor]:
    """Run one prompt through the model: its sequence, and the last position's logits float32 [1, vocabulary].

    With ``every`` they are those of all positions as they come, [1, tokens, vocabulary].

    All of ``generate``'s own preparation runs (media encoders, positions, cache, the checkpoint's own logits
    processors); only its decoding loop is replaced. With ``reuse`` only what its cache lacks is run.
    """
    device = model.device

    def capture(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: Any,
        **kwargs: Any,
    ) -> tuple[SequenceState, torch.Tensor]:
        if every:
            kwargs["logits_to_keep"] = 0
        outputs = compat.prefill(model, input_ids, generation_config, kwargs)
        kwargs = compat.next_arguments(model, outputs, kwargs)
        decoder = model.config.get_text_config(decoder=True)
        set_cross_attention(outputs.past_key_values, getattr(decoder, "cross_attention_layers", None) or ())
        row = SequenceState(
            ids=input_ids,
            position=kwargs["position_ids"][..., -1:].clone(),
            cached=input_ids.shape[1],
            cache=SequenceCache(outputs.past_key_values, input_ids.shape[1]),
            processors=logits_processor,
            prompt_tokens=input_ids.shape[1],
            carried={name: kwargs[name][:, -1:] for name in CARRIED if name in kwargs},
        )
        return row, outputs.logits if every else outputs.logits[:, -1].float()

    moved = {key: move(value, device, model.dtype) for key, value in inputs.items()}
    if reuse is not None:
        moved = continued(model, moved, reuse)
    reset_dynamic_rope(dynamic_rope_modules(model))
    prefilled: tuple[SequenceState, torch.Tensor] = model.generate(
        **moved, custom_generate=capture, max_new_tokens=NO_LIMIT
    )
    return prefilled


def continued(model: Any, whole: dict[str, Any], reuse: Reuse) -> dict[str, Any]:
    """What to prefill with, given the tensors of the whole prompt, where a cache has its first tokens.

    Positions are those of the whole prompt: models with rotary positions of several axes work them out from the sizes
    of all media, and otherwise from what the last request left on the model.
    """
    ids = whole["input_ids"]
    positions = whole.get("position_ids")
    if positions is None:
        positions = compat.position_ids(model, ids, dict(whole))
    by_token = {key: value for key, value in whole.items() if getattr(value, "shape", None) == ids.shape}
    fresh = {key: move(value, model.device, model.dtype) for key, value in reuse.fresh.items()}
    cache = reuse.stored.restored(reuse.tokens).cache
    return {**by_token, **fresh, "position_ids": positions, "past_key_values": cache}


def move(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """A processor output on the model's device, floating point in the model's precision."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)
