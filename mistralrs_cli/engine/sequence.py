"""One running answer on the worker thread: its tokens, its place in the sequence and its own way of drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import LogitsProcessorList

from ..errors import GenerationError, MistralrsError, OptionError
from .kv.layers import set_cross_attention
from .kv.prefix import Reuse
from .runner import compat
from .runner.rotary import dynamic_rope_modules, forget
from .sampling.grammar import GrammarProcessor

CARRIED = ("cross_attention_mask",)  # arguments of the model with a row for each token, the same for all to come


@dataclass(slots=True, eq=False)
class SequenceState:
    """A sequence being decoded.

    ``ids`` int64 [1, tokens so far]; ``position`` the next position id, [1, 1] or [axes, 1, 1] for rotary positions
    of several axes; ``cached`` how many tokens the KV cache holds. ``carried`` are the arguments beside these that the
    model wants with every token, each [1, 1, …].
    """

    ids: torch.Tensor
    position: torch.Tensor
    cached: int
    cache: Any  # a transformers Cache, None while the row is joined
    processors: Any  # a LogitsProcessorList
    generator: torch.Generator | None
    prompt_tokens: int
    carried: dict[str, torch.Tensor] = field(default_factory=dict)

    def resume(self, fresh: SequenceState) -> None:
        """Go on from the cache of a row that ran all of this row's tokens as its prompt."""
        self.cache, self.cached, self.position = fresh.cache, fresh.cached, fresh.position

    def draw(self, logits: torch.Tensor) -> int:
        """Append the next token given ``logits`` float32 [1, vocabulary]; greedy where there is no generator.

        Raises ``OptionError`` where the request's own rules leave no token, ``GenerationError`` for a model's mistake.
        """
        scores = self.processors(self.ids, logits)
        if self.generator is None:
            chances = scores
            token = chances.argmax(-1, keepdim=True)
        else:
            chances = scores.softmax(-1)  # on a GPU, drawing from what are no chances would end the whole process
            token = torch.multinomial(chances.nan_to_num(1.0), 1, generator=self.generator)
        if not chances.gather(-1, token).isfinite():
            raise nothing_left(logits)
        self.ids = torch.cat([self.ids, token.to(self.ids.device)], -1)
        drawn = int(token)
        for processor in self.processors:
            if isinstance(processor, GrammarProcessor):
                processor.follow(drawn)
        return drawn


def nothing_left(logits: torch.Tensor) -> MistralrsError:
    """Why no token of ``logits`` float32 [1, vocabulary] could be drawn."""
    if logits.isnan().any() or not logits.isfinite().any():
        return GenerationError("The model's scores are not numbers.", "Try --dtype f32.")
    return OptionError("logit_bias and the grammar exclude every token.", param="logit_bias")


def prefill(
    model: Any,
    inputs: dict[str, Any],
    arguments: dict[str, Any],
    processors: LogitsProcessorList,
    generator: torch.Generator | None,
    reuse: Reuse | None = None,
    *,
    every: bool = False,
) -> tuple[SequenceState, torch.Tensor]:
    """Run one prompt through the model: a row with its cache, and the last position's logits float32 [1, vocabulary].

    With ``every`` they are those of all positions as they come, [1, tokens, vocabulary].

    All of ``generate``'s own preparation runs (media encoders, positions, cache, logits processors); only its
    decoding loop is replaced. With ``reuse`` only what its cache lacks is run.
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
            cache=outputs.past_key_values,
            processors=logits_processor,
            generator=generator,
            prompt_tokens=input_ids.shape[1],
            carried={name: kwargs[name][:, -1:] for name in CARRIED if name in kwargs},
        )
        return row, outputs.logits if every else outputs.logits[:, -1].float()

    moved = {key: move(value, device, model.dtype) for key, value in inputs.items()}
    if reuse is not None:
        moved = continued(model, moved, reuse)
    forget(dynamic_rope_modules(model))
    prefilled: tuple[SequenceState, torch.Tensor] = model.generate(
        **moved, custom_generate=capture, logits_processor=processors, **arguments
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
    cache = reuse.stored.revived(reuse.tokens)
    return {**by_token, **fresh, "position_ids": positions, "past_key_values": cache}


def move(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """A processor output on the model's device, floating point in the model's precision."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)
