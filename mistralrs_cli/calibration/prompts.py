"""Samples as what a model runs: rows of text tokens, and prompts made by its own processor and chat template."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import OptionError
from ..families import Family, require
from ..media import decode, fetch
from ..messages import Media, MediaRef, Message, media_of
from ..options import MediaPolicy
from .sources import OPTION, Sample

LENGTH = 512  # tokens of a row of text
BATCH = 2048  # tokens of text that run at once
HELD_OUT = 8  # one of so many rows and conversations is kept for the comparison
MOST_HELD_OUT = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """What runs at once: rows of text tokens of one length, or one conversation."""

    rows: tuple[tuple[int, ...], ...] = ()
    messages: tuple[Message, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the model is calibrated with, and what it is compared on: another part, or the same (not ``apart``).

    ``text_tokens`` is how many the texts have; ``used`` how many of them are run.
    """

    calibration: tuple[Piece, ...]
    held_out: tuple[Piece, ...]
    text_tokens: int
    used: int
    apart: bool = True

    @property
    def tokens(self) -> int:
        """Tokens to calibrate with."""
        return sum(piece.tokens for piece in self.calibration)


class Prompts:
    """Makes a model's inputs of samples, with its ``processor`` and ``family``."""

    def __init__(self, family: Family, name: str, processor: Any, policy: MediaPolicy) -> None:
        self.family, self.name, self.processor, self.policy = family, name, processor, policy

    def pieces(self, samples: Sequence[Sample], most: int) -> Pieces:
        """Samples cut into pieces. Texts, one after the other, longer than ``most`` tokens give rows evenly spread.

        Media are read once here, so that what is wrong with one is said before anything takes long.
        Raises ``OptionError`` where nothing is long enough, and what ``Family.prepare`` raises.
        """
        ids = [token for sample in samples if sample.text is not None for token in self.ids(sample.text)]
        total = len(ids)
        length = LENGTH if total >= 2 * LENGTH else max(total // 2, 1)
        rows = list(cut(ids, length)) if total > 1 else []
        if len(rows) * length > most:
            count = max(2, most // length)
            rows = [rows[index * len(rows) // count] for index in range(count)]
        chats = []
        for sample in samples:
            if sample.text is None:
                media = [medium.kind for medium in media_of(sample.messages)]
                require(self.family, self.name, media)
                chats.append(Piece(messages=sample.messages, tokens=self.prepared(sample.messages).prompt_tokens))
        units = [Piece(rows=(row,), tokens=len(row)) for row in rows] + chats
        if not units:
            raise OptionError(f"{OPTION}: there is too little text.", "A few thousand words do, or a few media.")
        step = max(min(HELD_OUT, len(units)), -(-len(units) // MOST_HELD_OUT))
        held = range(step - 1, len(units), step)
        kept = [unit for index, unit in enumerate(units) if index not in held] or units
        compared = tuple(units[index] for index in held)
        return Pieces(tuple(batched(kept)), compared, total, sum(map(len, rows)), apart=len(units) > 1)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without those that begin a prompt."""
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def beginning(self) -> list[int]:
        """The tokens that begin every prompt, as many models must see."""
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        first = tokenizer.bos_token_id
        return [first] if first is not None and tokenizer("a")["input_ids"][:1] == [first] else []

    def prepared(self, messages: Sequence[Message]) -> Any:
        """A conversation with its media read, as the family prepares it."""
        return self.family.prepare(self.processor, [self.decoded(message) for message in messages])

    def decoded(self, message: Message) -> Message:
        """A message with its media read."""
        parts = tuple(self.medium(part) if isinstance(part, Media) else part for part in message.parts)
        return replace(message, parts=parts)

    def medium(self, medium: Media) -> Media:
        """A medium, decoded as the family wants it."""
        found = fetch(medium, self.policy) if isinstance(medium, MediaRef) else medium
        return decode(found, self.policy, rate=self.family.audio_rate, sampling=self.family.sampling)

    def inputs(self, piece: Piece) -> tuple[dict[str, Any], Hashable]:
        """A piece as the model's inputs, and the adapter that it wants."""
        import torch

        if piece.messages:
            prepared = self.prepared(piece.messages)
            return prepared.inputs, prepared.adapter
        beginning = self.beginning()
        ids = torch.tensor([[*beginning, *row] for row in piece.rows])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None


def cut(ids: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    """Whole rows of ``length`` tokens; what is left at the end is too short to say much."""
    return (tuple(ids[start : start + length]) for start in range(0, len(ids) - length + 1, length))


def batched(units: Sequence[Piece]) -> Iterator[Piece]:
    """Rows of text put together, ``BATCH`` tokens at a time; conversations as they are."""
    rows: list[tuple[int, ...]] = []
    for unit in units:
        if unit.messages:
            yield unit
            continue
        rows += unit.rows
        if sum(map(len, rows)) >= BATCH:
            yield Piece(rows=tuple(rows), tokens=sum(map(len, rows)))
            rows = []
    if rows:
        yield Piece(rows=tuple(rows), tokens=sum(map(len, rows)))
