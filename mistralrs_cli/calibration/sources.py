"""What a user calibrates with: text files, media, and conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OptionError, reason
from ..messages import MediaRef, Message
from ..named_files import named_text, nearby, position
from ..protocol import conversation

OPTION = "--calibrate"
HINT = "Name text files, images, audio, videos, or JSON lines with messages."


@dataclass(frozen=True, slots=True)
class Sample:
    """One text as it is (``text``), or one conversation whose media are not read yet; ``source`` is where it stands."""

    source: str
    text: str | None = None
    messages: tuple[Message, ...] = ()


def read_samples(names: Sequence[str]) -> list[Sample]:
    """The samples of all files, in their order.

    A ``.jsonl`` file holds one conversation a line: ``{"messages": […]}`` as OpenAI's requests have it, also inside a
    ``body``, or ``{"text": "…"}``. Any other file is a medium, for which the default question is asked, or text.
    Raises ``OptionError``.
    """
    return [sample for name in names for sample in samples_of(name)]


def samples_of(name: str) -> Iterator[Sample]:
    """The samples of one file."""
    from ..media.kinds import kind_of_file

    path = Path(name).expanduser()
    if path.suffix.lower() == ".jsonl":
        for number, line in enumerate(named_text(OPTION, name, HINT, path).splitlines(), start=1):
            if line.strip():
                yield from_line(line, f"{name}, line {number}")
        return
    try:
        kind = kind_of_file(path)
    except FileNotFoundError as error:
        close = nearby(path)
        raise OptionError(
            f"{OPTION}: there is no file {name}.", HINT if close is None else f"Did you mean {close}?"
        ) from error
    except (OSError, ValueError) as error:
        raise OptionError(f"{OPTION}: {name} cannot be read: {reason(error)}.", HINT) from error
    if kind is not None:
        yield Sample(name, messages=(Message("user", (MediaRef(kind, name),)),))
    elif (text := named_text(OPTION, name, HINT, path)).strip():
        yield Sample(name, text)
    else:
        raise OptionError(f"{OPTION}: {name} is empty.", HINT)


def from_line(line: str, place: str) -> Sample:
    """One line of JSON."""
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise OptionError(f"{OPTION}: {place} is not JSON{position(error)}.", HINT) from error
    body = value.get("body", value) if isinstance(value, dict) else None
    if isinstance(body, dict) and isinstance(body.get("text"), str):
        return Sample(place, body["text"])
    if not isinstance(body, dict) or "messages" not in body:
        raise OptionError(f"{OPTION}: {place} has no messages.", 'Write {"messages": […]} or {"text": "…"}.')
    return Sample(place, messages=conversation(body["messages"], place=f"{place}: messages"))
