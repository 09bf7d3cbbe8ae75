"""What the rows of a run are, found before any is answered: ids, digests, and the kinds of media."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import MistralrsError, OptionError
from ..messages import Modality, media_of
from ..options import DEFAULT_INSTRUCTION
from .digest import Settings
from .inputs import Inputs
from .rows import Row


@dataclass(frozen=True, slots=True)
class Survey:
    """``rows`` are the id and digest of each. ``kinds`` of media are in every row; ``columns`` are those of the first.

    ``unasked`` says that some row has media and no words.
    """

    rows: Sequence[tuple[str, str]]
    kinds: frozenset[Modality] = frozenset()
    columns: Sequence[str] = ()
    unasked: bool = False


def survey(inputs: Inputs, settings: Settings) -> Survey:
    """Go through all rows. Raises ``OptionError`` where there are none, and the first row's error where all fail."""
    rows: list[tuple[str, str]] = []
    kinds: frozenset[Modality] | None = None
    columns: Sequence[str] = ()
    first: MistralrsError | None = None
    asked, unasked = False, False
    for row in inputs:
        if not rows:
            columns = list(row.columns)
        rows.append((row.id, settings.of_row(row)))
        if row.error is not None:
            first = first or row.error
            continue
        asked = True
        found = frozenset(medium.kind for medium in media_of(row.messages))
        kinds = found if kinds is None else kinds & found
        unasked = unasked or row.messages[-1].text == DEFAULT_INSTRUCTION
    if not rows:
        raise OptionError("The input holds no rows.", "Check the list, or the table.")
    if first is not None and not asked:
        raise first
    return Survey(rows, kinds or frozenset(), columns, unasked)


def pending_rows(inputs: Inputs, found: Survey, pending: Sequence[bool]) -> Iterator[tuple[int, Row]]:
    """The rows that are left, each with its number. Raises ``OptionError`` where the input has changed since."""
    for number, row in enumerate(inputs):
        if number >= len(found.rows) or row.id != found.rows[number][0]:
            raise changed()
        if pending[number]:
            yield number, row
    if number + 1 != len(found.rows):
        raise changed()


def changed() -> OptionError:
    """The error for an input that was changed while it was read."""
    return OptionError("The input was changed during the run.", "Run it again: what is answered already stays.")


def spread(count: int, among: Iterable[int]) -> set[int]:
    """``count`` of these numbers, evenly spread."""
    numbers = list(among)
    step = max(1.0, len(numbers) / count)
    return {numbers[int(index * step)] for index in range(min(count, len(numbers)))}
