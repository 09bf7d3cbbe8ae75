"""A batch of windows through Whisper: its languages, tasks and prompts, and the times among its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ...errors import OptionError
from ...events import TimedText
from ...loading import LoadedModel
from ...options import SpeechTask
from .runner import Cancelled, Heard, spaceless
from .stream import WindowStream

STEP = 0.02
"""Seconds between two of its time tokens (arXiv 2212.04356, section 2.3)."""
LONGEST = 30.0


class WhisperRunner:
    """Runs transformers' own Whisper on windows of at most 30 seconds."""

    draws = True

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.processor = loaded.processor
        self.settings = loaded.model.generation_config
        self.multilingual = bool(getattr(self.settings, "is_multilingual", False))
        self.first_time = int(self.settings.no_timestamps_token_id) + 1
        self.aligned = bool(getattr(self.settings, "alignment_heads", None))

    def check(self, task: SpeechTask) -> SpeechTask:
        """The task in the model's terms. Raises ``OptionError`` for what this checkpoint does not do."""
        if not self.multilingual:
            if task.translate or task.language not in (None, "en", "english"):
                raise OptionError(
                    f"{self.loaded.name} knows English only.",
                    "Use a multilingual model, such as openai/whisper-small.",
                    "language",
                )
            return replace(task, language=None, translate=False)
        return task if task.language is None else replace(task, language=self.code(task.language))

    def code(self, language: str) -> str:
        """The code of a language, which may be named in English. Raises ``OptionError`` for an unknown one."""
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        plain = language.strip().lower()
        found = TO_LANGUAGE_CODE.get(plain, plain.split("-")[0])
        if f"<|{found}|>" not in self.settings.lang_to_id:
            known = ", ".join(sorted(token.strip("<|>") for token in self.settings.lang_to_id))
            raise OptionError(
                f"{self.loaded.name} does not know the language {language!r}.", f"It knows {known}.", "language"
            )
        return found

    @torch.inference_mode()
    def run(self, windows: Sequence[WindowStream], task: SpeechTask) -> list[Heard]:
        """The text of windows that share a task, in order; a cancelled one leaves before the next token."""
        rate = self.processor.feature_extractor.sampling_rate
        samples = [window.audio.samples for window in windows]
        extracted = self.processor.feature_extractor(
            samples, sampling_rate=rate, return_tensors="pt", return_attention_mask=True
        )
        features = extracted.input_features.to(self.model.device, self.model.dtype)
        given: dict[str, Any] = {}
        languages: list[str | None] = [task.language] * len(windows)
        if self.multilingual:
            if task.language is None:
                languages = list(self.detected(features))
            given = {"language": languages, "task": "translate" if task.translate else "transcribe"}
        room = int(self.model.config.max_target_positions) - 8
        if task.prompt:
            ids = self.processor.get_prompt_ids(task.prompt, return_tensors="pt").to(self.model.device)
            given["prompt_ids"] = prompt_end(ids, room // 2)
            room -= len(given["prompt_ids"])
        most = room if task.most is None else max(1, min(task.most, room))
        words = task.words and self.aligned
        if words:
            given["attention_mask"] = extracted.attention_mask.to(self.model.device)
        found = self.model.generate(
            features,
            return_timestamps=True,
            return_token_timestamps=words,
            force_unique_generate_call=True,
            max_length=most,  # of the text: transformers adds the tokens before it
            do_sample=task.temperature > 0,
            temperature=task.temperature if task.temperature > 0 else None,
            stopping_criteria=[Cancelled(windows)],
            **given,
        )
        sequences = found["sequences"] if isinstance(found, dict) else found
        moments = found["token_timestamps"].tolist() if words else [None] * len(windows)
        return [
            self.heard(ids, window, times, language, most)
            for ids, window, times, language in zip(sequences.tolist(), windows, moments, languages, strict=True)
        ]

    def detected(self, features: torch.Tensor) -> list[str]:
        """The code of the language that each window is most likely in."""
        ids = self.model.detect_language(input_features=features, generation_config=self.settings)
        names = {number: token.strip("<|>") for token, number in self.settings.lang_to_id.items()}
        return [names[int(token)] for token in ids.tolist()]

    def heard(
        self, ids: list[int], window: WindowStream, moments: list[float] | None, language: str | None, most: int
    ) -> Heard:
        """The text between the time tokens, with its times; what follows the last one lasts until the window's end."""
        ending = self.settings.eos_token_id
        ends = {ending} if isinstance(ending, int) else set(ending)
        special = set(self.processor.tokenizer.all_special_ids)
        seconds = min(window.audio.seconds, LONGEST)
        # transformers leaves out the tokens before the text, or keeps them, with a prompt's; none of them is a time
        first = self.settings.decoder_start_token_id
        start = ids.index(first) + 1 if first in ids else 0
        while start < len(ids) and ids[start] in special:  # the language, the task
            start += 1
        length = next((at for at, token in enumerate(ids) if at >= start and token in ends), len(ids))
        complete = length < len(ids) or length - start < most
        parts: list[TimedText] = []
        begun, held = 0.0, list[int]()
        places = list[int]()

        def close(until: float) -> None:
            text = self.processor.tokenizer.decode(held, skip_special_tokens=True)
            if text.strip():
                words = self.words(held, [moments[at] for at in places], until) if moments is not None else ()
                parts.append(TimedText(text.strip(), min(begun, until), until, words, language))
            held.clear()
            places.clear()

        for at in range(start, length):
            token = ids[at]
            if token >= self.first_time:
                time = min((token - self.first_time) * STEP, seconds)
                close(time)
                begun = time
            elif token not in special:
                held.append(token)
                places.append(at)
        close(seconds)
        return Heard(" ".join(part.text for part in parts), tuple(parts), length - start, complete)

    def words(self, ids: list[int], moments: list[float], until: float) -> tuple[TimedText, ...]:
        """The words of a text with the times of their tokens; in scripts without spaces, its characters."""
        groups: list[tuple[list[int], list[float]]] = []
        pending: list[int] = []
        times: list[float] = []
        for token, moment in zip(ids, moments, strict=True):
            pending.append(token)
            times.append(moment)
            piece = self.processor.tokenizer.decode(pending)
            if "\N{REPLACEMENT CHARACTER}" in piece:  # a character's first bytes
                continue
            if groups and not piece.startswith(" ") and not spaceless(piece[:1]):
                groups[-1][0].extend(pending)
                groups[-1][1].extend(times)
            else:
                groups.append((pending, times))
            pending, times = [], []
        if pending:  # a character that never ends
            groups.append((pending, times))
        ends = [at[0] for _, at in groups[1:]] + [until]
        return tuple(
            TimedText(self.processor.tokenizer.decode(tokens).strip(), at[0], max(at[0], end))
            for (tokens, at), end in zip(groups, ends, strict=True)
        )


def prompt_end(ids: torch.Tensor, most: int) -> torch.Tensor:
    """As many of a prompt's last tokens as there is room for, behind the token that begins every prompt.

    The same end that OpenAI's own code takes; the words nearest to the audio count most.
    """
    return ids if len(ids) <= most else torch.cat([ids[:1], ids[len(ids) - most + 1 :]])
