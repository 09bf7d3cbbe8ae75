"""LLaVA-NeXT on Vicuna, which is a Llama decoder."""

from typing import Any

from . import llava_next
from .llava import OLDER_NAMES

__all__ = ["OLDER_NAMES", "build"]


def build() -> tuple[Any, Any]:
    """As on Mistral."""
    return llava_next.build("llama")
