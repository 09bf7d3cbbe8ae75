"""A batch of windows through Canary, whose prompt says the language that is spoken and the one that is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...errors import OptionError
from ...loading import LoadedModel
from ...options import SpeechTask
from .runner import Cancelled, Heard, samples_of, without_prompt
from .stream import WindowStream

ENGLISH = "en"
"""What is assumed to be spoken, as transformers does, and what is translated into."""


class CanaryRunner:
    """Runs transformers' own Canary. It does not find the language: its prompt must name one."""

    draws = True

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.processor = loaded.processor

    def check(self, task: SpeechTask) -> SpeechTask:
        """The task with its language as a code, or English.

        Raises ``OptionError`` for an unknown one, for none where it is to be translated, and for a prompt.
        """
        without_prompt(self.loaded.name, task)
        if task.translate and task.language is None:
            raise OptionError(
                f"{self.loaded.name} must know the language that it translates from.",
                "Name the one that is spoken, such as de.",
                "language",
            )
        return replace(task, language=ENGLISH if task.language is None else self.code(task.language))

    def code(self, language: str) -> str:
        """The code of a language, which may be named in English. Raises ``OptionError`` for an unknown one."""
        from transformers.models.canary.processing_canary import LANGUAGE_CODE_TO_NAME

        plain = language.strip().lower()
        named = {name.lower(): code for code, name in LANGUAGE_CODE_TO_NAME.items()}
        found = named.get(plain, plain.split("-")[0])
        if found not in LANGUAGE_CODE_TO_NAME:
            known = ", ".join(sorted(LANGUAGE_CODE_TO_NAME))
            raise OptionError(
                f"{self.loaded.name} does not know the language {language!r}.", f"It knows {known}.", "language"
            )
        return found

    @torch.inference_mode()
    def run(self, windows: Sequence[WindowStream], task: SpeechTask) -> list[Heard]:
        """The text of windows in order; a cancelled one leaves before the next token."""
        inputs = self.processor.apply_transcription_request(
            [samples_of(window) for window in windows],
            source_language=task.language,
            target_language=ENGLISH if task.translate else task.language,
            sampling_rate=self.processor.feature_extractor.sampling_rate,
        ).to(self.model.device, self.model.dtype)
        prompt = inputs["decoder_input_ids"].shape[1]
        room = int(self.model.config.decoder_config.max_position_embeddings) - prompt
        most = room if task.most is None else max(1, min(task.most, room))
        sequences = self.model.generate(
            input_features=inputs["input_features"],
            attention_mask=inputs["attention_mask"],
            decoder_input_ids=inputs["decoder_input_ids"],
            max_new_tokens=most,
            do_sample=task.temperature > 0,
            temperature=task.temperature if task.temperature > 0 else None,
            stopping_criteria=[Cancelled(windows)],
        )
        return [self.heard(ids, most) for ids in sequences[:, prompt:].tolist()]

    def heard(self, ids: list[int], most: int) -> Heard:
        """The text up to its end token."""
        ending = self.model.generation_config.eos_token_id
        ends = set(ending) if isinstance(ending, list) else {ending}
        length = next((at for at, token in enumerate(ids) if token in ends), len(ids))
        text = self.processor.tokenizer.decode(ids[:length], skip_special_tokens=True).strip()
        return Heard(text, (), length, length < most)
