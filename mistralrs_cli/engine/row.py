"""One running answer on the worker thread: its tokens, its place in the sequence and its own way of drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList


@dataclass(slots=True, eq=False)
class Row:
    """A sequence being decoded.

    ``ids`` int64 [1, tokens so far]; ``position`` the next position id, [1, 1] or [axes, 1, 1] for rotary positions
    of several axes; ``cached`` how many tokens the KV cache holds.
    """

    ids: torch.Tensor
    position: torch.Tensor
    cached: int
    cache: Any  # a transformers Cache, None while the row is joined
    processors: Any  # a LogitsProcessorList
    generator: torch.Generator | None
    prompt_tokens: int

    def draw(self, logits: torch.Tensor) -> int:
        """Append the next token given ``logits`` float32 [1, vocabulary]; greedy where there is no generator."""
        scores = self.processors(self.ids, logits)
        if self.generator is None:
            token = scores.argmax(-1, keepdim=True)
        else:
            token = torch.multinomial(scores.softmax(-1), 1, generator=self.generator)
        self.ids = torch.cat([self.ids, token.to(self.ids.device)], -1)
        return int(token)


def prefill(
    model: Any,
    inputs: dict[str, Any],
    arguments: dict[str, Any],
    processors: LogitsProcessorList,
    generator: torch.Generator | None,
) -> tuple[Row, torch.Tensor]:
    """Run one prompt through the model: a row with its cache, and the last position's logits float32 [1, vocabulary].

    All of ``generate``'s own preparation runs (media encoders, positions, cache, logits processors); only its
    decoding loop is replaced.
    """
    device = model.device

    def capture(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: Any,
        **kwargs: Any,
    ) -> tuple[Row, torch.Tensor]:
        outputs = model._prefill(input_ids, generation_config, kwargs)
        kwargs = model._update_model_kwargs_for_generation(outputs, kwargs, is_encoder_decoder=False)
        row = Row(
            ids=input_ids,
            position=kwargs["position_ids"][..., -1:].clone(),
            cached=input_ids.shape[1],
            cache=outputs.past_key_values,
            processors=logits_processor,
            generator=generator,
            prompt_tokens=input_ids.shape[1],
        )
        return row, outputs.logits[:, -1].float()

    moved = {key: move(value, device, model.dtype) for key, value in inputs.items()}
    prefilled: tuple[Row, torch.Tensor] = model.generate(
        **moved, custom_generate=capture, logits_processor=processors, **arguments
    )
    return prefilled


def move(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """A processor output on the model's device, floating point in the model's precision."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)
