"""Any model with a vision tower that transformers knows and that needs no words of its own here."""

from __future__ import annotations

from typing import ClassVar

from .base import Family


class VisionFamily(Family):
    """A generic vision-language model."""

    name: ClassVar[str] = "vision"
