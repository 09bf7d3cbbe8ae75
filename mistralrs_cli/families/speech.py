"""Speech models: they write down what they hear, and answer no questions."""

from __future__ import annotations

from typing import ClassVar

from ..errors import UnsupportedModel
from ..messages import Modality
from .base import Family


class SpeechFamily(Family):
    """A family whose models run in ``engine.speech`` rather than with the language models."""

    automodel: ClassVar[str] = "AutoModelForSpeechSeq2Seq"
    transcribes: ClassVar[bool] = True
    speech_times: ClassVar[bool] = True
    described: ClassVar[tuple[str, ...]] = ("preprocessor_config.json", "processor_config.json")

    @property
    def modalities(self) -> frozenset[Modality]:
        """Audio alone."""
        return frozenset({"audio"})

    @property
    def context_length(self) -> int | None:
        """The most tokens of a window's text."""
        length = self.config.get("max_target_positions") or self.config.get("max_position_embeddings")
        return int(length) if length else None


def require_questions(name: str, family: Family) -> None:
    """Raise ``UnsupportedModel`` for a model that only transcribes, where questions are asked."""
    if family.transcribes:
        raise UnsupportedModel(
            f"{name} is a model that writes down speech, and answers no questions.",
            f"mistralrs transcribe FILE -m {name}",
        )
