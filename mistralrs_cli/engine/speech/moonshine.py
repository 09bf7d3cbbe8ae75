"""A batch of windows through Moonshine, which gives text without times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from ...loading import LoadedModel
from ...options import SpeechTask
from .runner import Cancelled, Heard, only_transcribes, samples_of
from .stream import WindowStream

TOKENS, TOKENS_PER_SECOND = 16, 13
"""The most tokens of a window's text: more than any of its languages needs (arXiv 2509.02523, section 3)."""


class MoonshineRunner:
    """Runs transformers' own Moonshine and Moonshine Streaming."""

    draws = True

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.processor = loaded.processor

    def check(self, task: SpeechTask) -> SpeechTask:
        """Raises ``OptionError`` for a language, translation or prompt: each checkpoint knows what it has learned."""
        return only_transcribes(self.loaded.name, task)

    @torch.inference_mode()
    def run(self, windows: Sequence[WindowStream], task: SpeechTask) -> list[Heard]:
        """The text of windows in order; a cancelled one leaves before the next token."""
        room = int(self.model.config.max_position_embeddings) - 1
        limits = [
            max(1, min(room, TOKENS + int(TOKENS_PER_SECOND * window.audio.seconds), task.most or room))
            for window in windows
        ]
        encoded = self.encoded(windows)
        sequences = self.model.generate(
            encoder_outputs=encoded,
            attention_mask=encoded.attention_mask,
            max_new_tokens=max(limits),
            do_sample=task.temperature > 0,
            temperature=task.temperature if task.temperature > 0 else None,
            stopping_criteria=[Cancelled(windows)],
        )
        return [self.heard(ids, limit) for ids, limit in zip(sequences[:, 1:].tolist(), limits, strict=True)]

    def encoded(self, windows: Sequence[WindowStream]) -> Any:
        """The encoder's states of all windows, padded to the longest.

        Each is encoded alone: the first norm is over all samples of a row, its padding included.
        """
        encoder = self.model.get_encoder()
        rate = self.processor.feature_extractor.sampling_rate
        states, masks = [], []
        for window in windows:
            inputs = self.processor(samples_of(window), sampling_rate=rate, return_tensors="pt")
            values = inputs["input_values"].to(self.model.device, self.model.dtype)
            mask = inputs.get("attention_mask")
            mask = torch.ones_like(values, dtype=torch.long) if mask is None else mask.to(values.device)
            found = encoder(values, attention_mask=mask)
            states.append(found.last_hidden_state[0])
            masks.append(found.attention_mask[0].long())
        return type(found)(
            last_hidden_state=pad_sequence(states, batch_first=True),
            attention_mask=pad_sequence(masks, batch_first=True),
        )

    def heard(self, ids: list[int], limit: int) -> Heard:
        """The text up to its end token, or to the limit of its window: longer ones may share the batch."""
        ending = self.model.generation_config.eos_token_id
        ends = set(ending) if isinstance(ending, list) else {ending}
        length = next((at for at, token in enumerate(ids) if token in ends), len(ids))
        text = self.processor.tokenizer.decode(ids[: min(length, limit)], skip_special_tokens=True).strip()
        return Heard(text, (), min(length, limit), length < limit)
