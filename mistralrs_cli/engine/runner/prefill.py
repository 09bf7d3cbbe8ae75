"""A prompt through the model, from its tensors to a sequence with a KV cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList

from ..kv.layers import grow, set_cross_attention
from ..kv.prefix import Reuse
from ..kv.quantized import Scratch, use_quantized
from ..kv.snapshot import SequenceCache
from ..sequence import SequenceState
from . import compat
from .chunks import Chunks
from .rotary import dynamic_rope_modules, reset_dynamic_rope

CARRIED = ("cross_attention_mask",)  # arguments of the model with a row for each token, the same for all to come
NO_LIMIT = 1 << 20  # tokens; ``generate`` would warn without a limit, but its loop never runs


@dataclass(slots=True, eq=False)
class Prefill:
    """A prompt on its way through the model: its KV cache has the first ``done`` of its tokens.

    ``ids`` int64 [1, tokens]; ``arguments`` are the model's, as ``generate`` has prepared them with ``config``.
    ``chunks`` say how to cut it; ``None`` is that it cannot be. With ``every`` the logits of all positions are wanted.
    """

    model: Any
    ids: torch.Tensor
    config: Any
    arguments: dict[str, Any]
    processors: LogitsProcessorList  # what the checkpoint's own configuration asks for
    every: bool
    done: int
    chunks: Chunks | None = None
    started: bool = False

    @property
    def left(self) -> int:
        """How many tokens are to be run."""
        return self.ids.shape[1] - self.done

    def advance(self, tokens: int | None = None) -> tuple[SequenceState, torch.Tensor] | None:
        """Run about so many tokens more, or all; after the last one the sequence and its logits, as ``prefill``.

        Where it fails the prompt cannot be gone on with.
        """
        length = self.ids.shape[1]
        end = length if tokens is None or self.chunks is None else self.chunks.end(self.done, tokens)
        if self.chunks is None or (not self.started and end == length):
            outputs = compat.prefill(self.model, self.ids, self.config, self.arguments)
        else:
            given = self.chunks.of(self.done, end)
            inputs = self.model.prepare_inputs_for_generation(given.pop("input_ids"), is_first_iteration=True, **given)
            outputs = self.model(**inputs, return_dict=True)
            grow(outputs.past_key_values)  # else every chunk would copy all that is cached
        self.started, self.done = True, end
        return self.finished(outputs) if end == length else None

    def finished(self, outputs: Any) -> tuple[SequenceState, torch.Tensor]:
        """The sequence, and the logits of the last position float32 [1, vocabulary], or of all that were wanted."""
        arguments = compat.next_arguments(self.model, outputs, self.arguments)
        set_cross_attention(outputs.past_key_values, cross_attention_layers(self.model))
        length = self.ids.shape[1]
        sequence = SequenceState(
            ids=self.ids,
            position=arguments["position_ids"][..., -1:].clone(),
            cached=length,
            cache=SequenceCache(outputs.past_key_values, length),
            processors=self.processors,
            prompt_tokens=length,
            carried={name: arguments[name][:, -1:] for name in CARRIED if name in arguments},
        )
        return sequence, outputs.logits if self.every else outputs.logits[:, -1].float()


def begin(
    model: Any,
    inputs: dict[str, Any],
    reuse: Reuse | None = None,
    *,
    every: bool = False,
    quantized: Scratch | None = None,
) -> Prefill:
    """Have ``generate`` prepare a prompt: media encoders, positions, cache, logits processors. No token is run yet.

    All of ``generate``'s own preparation runs, and nothing of its decoding. With ``reuse`` only what its cache lacks
    will be run. With ``every`` the logits are those of all positions. ``quantized`` is for a cache of 8 bits.
    """

    def capture(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: Any,
        **prepared: Any,
    ) -> Prefill:
        if every:
            prepared["logits_to_keep"] = 0
        if quantized is not None:
            use_quantized(prepared["past_key_values"], quantized, cross_attention_layers(model))
        done = 0 if reuse is None else reuse.tokens
        return Prefill(model, input_ids, generation_config, prepared, logits_processor, every, done)

    moved = {key: move(value, model.device, model.dtype) for key, value in inputs.items()}
    if reuse is not None:
        moved = continued(model, moved, reuse)
    begun: Prefill = model.generate(**moved, custom_generate=capture, max_new_tokens=NO_LIMIT)
    return begun


def cross_attention_layers(model: Any) -> tuple[int, ...]:
    """The indices of a model's layers that attend across to an image."""
    decoder = model.config.get_text_config(decoder=True)
    return tuple(getattr(decoder, "cross_attention_layers", None) or ())


def prefill(model: Any, inputs: dict[str, Any]) -> tuple[SequenceState, torch.Tensor]:
    """Run a whole prompt: its sequence, and the last position's logits float32 [1, vocabulary]."""
    reset_dynamic_rope(dynamic_rope_modules(model))
    found = begin(model, inputs).advance()
    assert found is not None
    return found


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
