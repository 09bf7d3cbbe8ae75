"""Long pastes: one sign in the line that is edited, drawn as ``[43 lines pasted]``, whole in all else."""

from __future__ import annotations

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

LINES = 10
CHARACTERS = 2000
"""Pastes of more lines or characters are folded: they would push the prompt off the screen."""
FIRST = 0x100000
"""The signs are taken from the last plane of Unicode, for private use, which no keyboard types."""


def is_long(text: str) -> bool:
    """Whether a paste is folded."""
    return text.count("\n") >= LINES or len(text) > CHARACTERS


def folded_name(text: str) -> str:
    """What a folded paste is drawn as."""
    lines = text.rstrip("\n").count("\n") + 1
    return f"[{lines:,} lines pasted]" if lines > 1 else f"[{len(text):,} characters pasted]"


class Pastes:
    """The pastes of this chat, each known by its sign."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def fold(self, text: str) -> str:
        """The sign for a text."""
        if text not in self.texts:
            self.texts.append(text)
        return chr(FIRST + self.texts.index(text))

    def folded(self, line: str) -> str:
        """A line with the pastes it holds folded again."""
        for text in sorted(self.texts, key=len, reverse=True):
            line = line.replace(text, self.fold(text))
        return line

    def text_of(self, sign: str) -> str | None:
        """The paste behind a sign; ``None`` for any other character."""
        index = ord(sign) - FIRST
        return self.texts[index] if 0 <= index < len(self.texts) else None

    def whole(self, line: str) -> str:
        """A line with its pastes whole."""
        return "".join(letter if (text := self.text_of(letter)) is None else text for letter in line)


class FoldedPastes(Processor):
    """Draws the signs of pastes by their names."""

    def __init__(self, pastes: Pastes) -> None:
        self.pastes = pastes

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The line as it is drawn, and where each of its characters went."""
        fragments: StyleAndTextTuples = []
        places = [0]  # of every character of the source, and of its end
        for style, text, *_ in transformation_input.fragments:
            for letter in text:
                paste = self.pastes.text_of(letter)
                drawn = letter if paste is None else folded_name(paste)
                fragments.append((style if paste is None else f"{style} class:paste", drawn))
                places.append(places[-1] + len(drawn))

        def to_display(place: int) -> int:
            return places[min(place, len(places) - 1)] + max(0, place - len(places) + 1)

        def to_source(place: int) -> int:
            return max((index for index, start in enumerate(places) if start <= place), default=0)

        return Transformation(fragments, source_to_display=to_display, display_to_source=to_source)
