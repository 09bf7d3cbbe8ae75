"""A batch of windows through Parakeet: the frame of each token is the time of its word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch

from ...events import TimedText
from ...loading import LoadedModel
from ...options import SpeechTask
from .runner import Cancelled, Heard, only_transcribes, samples_of, spaceless
from .stream import WindowStream

SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")  # noqa: RUF001
PAUSE, LONGEST = 0.8, 7.0
"""Seconds of quiet that end a segment, and those after which one ends at the next word: as long as a subtitle lasts."""


class Token(NamedTuple):
    """A token, and the encoder's frames from its first to behind its last."""

    id: int
    start: int
    end: int


class ParakeetRunner:
    """Runs transformers' own Parakeet: CTC, and the transducers RNN-T and TDT.

    In CTC a token lasts as long as frames repeat it, in TDT as many frames as the model says, in RNN-T one.
    """

    draws = False

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.processor = loaded.processor
        self.kind = str(loaded.model.config.model_type).removeprefix("parakeet_")
        extractor = loaded.processor.feature_extractor
        self.factor = int(loaded.model.config.encoder_config.subsampling_factor)
        self.step = extractor.hop_length * self.factor / extractor.sampling_rate

    def check(self, task: SpeechTask) -> SpeechTask:
        """Raises ``OptionError`` for a language, translation or prompt: it finds the language by itself."""
        return only_transcribes(self.loaded.name, task)

    @torch.inference_mode()
    def run(self, windows: Sequence[WindowStream], task: SpeechTask) -> list[Heard]:
        """The text of windows in order, with its times."""
        extractor = self.processor.feature_extractor
        inputs = extractor(
            [samples_of(window) for window in windows], sampling_rate=extractor.sampling_rate, return_tensors="pt"
        )
        features = inputs["input_features"].to(self.model.device, self.model.dtype)
        mask = inputs["attention_mask"].to(self.model.device)
        find = self.aligned if self.kind == "ctc" else self.transduced
        return [
            self.heard(tokens, window.audio.seconds, task.most, complete)
            for (tokens, complete), window in zip(find(windows, features, mask), windows, strict=True)
        ]

    def aligned(
        self, windows: Sequence[WindowStream], features: torch.Tensor, mask: torch.Tensor
    ) -> Iterator[tuple[list[Token], bool]]:
        """The tokens of CTC: the best of each frame, without blanks and repetitions."""
        blank = self.model.config.pad_token_id
        for ids in self.model.generate(input_features=features, attention_mask=mask).tolist():
            tokens = []
            frame = 0
            for token, repeated in groupby(ids):
                after = frame + len(list(repeated))
                if token != blank:
                    tokens.append(Token(token, frame, after))
                frame = after
            yield tokens, True

    def transduced(
        self, windows: Sequence[WindowStream], features: torch.Tensor, mask: torch.Tensor
    ) -> Iterator[tuple[list[Token], bool]]:
        """The tokens of a transducer, each at the frame where the durations before it end.

        A row takes as many steps as it would have alone: longer ones may share the batch.
        """
        config = self.model.config
        skipped = {config.blank_token_id, config.pad_token_id}
        lengths = [-(-length // self.factor) for length in mask.sum(-1).tolist()]
        found = self.model.generate(
            input_features=features,
            attention_mask=mask,
            do_sample=False,
            max_length=config.max_symbols_per_step * max(lengths) + 1,
            return_dict_in_generate=True,
            stopping_criteria=[Cancelled(windows)],
        )
        for ids, durations, frames in zip(found.sequences.tolist(), found.durations.tolist(), lengths, strict=True):
            most = config.max_symbols_per_step * frames
            tokens = []
            at = 0
            for token, duration in zip(ids[1 : most + 1], durations[1 : most + 1], strict=True):
                if token not in skipped:
                    tokens.append(Token(token, at, at + (duration if self.kind == "tdt" else 1)))
                at += duration
                if at >= frames:
                    break
            yield tokens, at >= frames

    def heard(self, tokens: list[Token], seconds: float, most: int | None, complete: bool) -> Heard:
        """The words of ``most`` tokens at most, in segments."""
        complete = complete and (most is None or len(tokens) <= most)
        tokens = tokens[:most]
        parts = tuple(
            TimedText(" ".join(word.text for word in words), words[0].start, words[-1].end, tuple(words))
            for words in segments(list(self.words(tokens, seconds)))
        )
        return Heard(" ".join(part.text for part in parts), parts, len(tokens), complete)

    def words(self, tokens: list[Token], seconds: float) -> Iterator[TimedText]:
        """The words, which pieces of SentencePiece begin with a mark; in scripts without spaces, its pieces.

        Punctuation, which is heard at no time, takes none.
        """
        tokenizer = self.processor.tokenizer
        groups: list[list[Token]] = []
        for token in tokens:
            piece = tokenizer.convert_ids_to_tokens(token.id)
            if groups and not piece.startswith("▁") and not spaceless(piece[:1]):
                groups[-1].append(token)
            else:
                groups.append([token])
        for group in groups:
            text = tokenizer.decode([token.id for token in group], group_tokens=False, skip_special_tokens=True).strip()
            spoken = [token for token in group if any(map(str.isalnum, tokenizer.convert_ids_to_tokens(token.id)))]
            start = min(group[0].start * self.step, seconds)
            if text:
                yield TimedText(text, start, min(max(start, (spoken or group)[-1].end * self.step), seconds))


def segments(words: list[TimedText]) -> Iterator[list[TimedText]]:
    """Words in segments, which end with a sentence, before a pause, or when they last long."""
    held: list[TimedText] = []
    for word in words:
        if held and (
            held[-1].text.endswith(SENTENCE_ENDS)
            or word.start - held[-1].end >= PAUSE
            or word.end - held[0].start > LONGEST
        ):
            yield held
            held = []
        held.append(word)
    if held:
        yield held
