"""What runs a batch of windows through a speech model, and what all such runners need."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from ...errors import OptionError
from ...events import TimedText
from ...options import SpeechTask
from .stream import WindowStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST = 0.1
"""Seconds that a window lasts at least: shorter ones end in silence, as convolutions need some samples."""
SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR", "KHMER")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a window says. ``complete`` is false where its text was cut for its length; ``tokens`` are all it wrote."""

    text: str
    parts: tuple[TimedText, ...]
    tokens: int
    complete: bool


class SpeechRunner(Protocol):
    """A speech model. ``draws`` says that it follows a temperature."""

    draws: bool

    def check(self, task: SpeechTask) -> SpeechTask:
        """The task in the model's terms. Raises ``OptionError`` for what the model does not do."""
        ...

    def run(self, windows: Sequence[WindowStream], task: SpeechTask) -> list[Heard]:
        """The text of windows that share a task, in order."""
        ...


class Cancelled:
    """Tells transformers which rows are done because their readers have closed them."""

    def __init__(self, windows: Sequence[WindowStream]) -> None:
        self.windows = windows

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        flags = [window.cancelled for window in self.windows]
        if len(flags) != len(input_ids):
            flags = [all(flags)] * len(input_ids)
        return torch.tensor(flags, dtype=torch.bool, device=input_ids.device)


def only_transcribes(name: str, task: SpeechTask) -> SpeechTask:
    """The task of a model that has one language, or finds it by itself. Raises ``OptionError`` for any other."""
    if task.language is not None:
        raise OptionError(
            f"{name} takes no language: it writes down what it hears in the languages that it has learned.",
            "Leave the language out, or use a model that takes one, such as openai/whisper-small.",
            "language",
        )
    if task.translate:
        raise OptionError(
            f"{name} does not translate: it writes down what it hears.",
            "Use a model that translates, such as openai/whisper-small.",
        )
    return without_prompt(name, task)


def without_prompt(name: str, task: SpeechTask) -> SpeechTask:
    """The task of a model that takes no text beside the audio. Raises ``OptionError`` where there is one."""
    if task.prompt:
        raise OptionError(
            f"{name} takes no prompt beside the audio that it transcribes.",
            "Leave it out, or use a model that takes one, such as openai/whisper-small.",
            "prompt",
        )
    return task


def samples_of(window: WindowStream) -> NDArray[np.float32]:
    """A window's samples, with silence after them where they are fewer than any model takes."""
    samples = window.audio.samples
    lacking = int(SHORTEST * window.audio.rate) - len(samples)
    return np.pad(samples, (0, lacking)) if lacking > 0 else samples


def spaceless(letter: str) -> bool:
    """Whether a letter belongs to a script that puts no spaces between words."""
    return unicodedata.name(letter, "").startswith(SPACELESS)
