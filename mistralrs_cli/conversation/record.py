"""A conversation as JSON, and back. Media are written by their hash, or whole for a file that is to be given away."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, cast

from ..errors import OptionError
from ..events import Timing, Usage
from ..grounding import Found
from ..messages import MODALITIES, Media, MediaOptions, MediaRef, Message, Part, Text, TextFile, ToolCall
from . import Branch, Conversation, ToolRound, Turn

VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"[\w-]{1,64}")

USAGE = {known.name for known in fields(Usage)}
TIMING = {known.name for known in fields(Timing)}
"""Numbers that this version knows: another may have written more."""

Keep = Callable[[bytes], str]


def to_object(conversation: Conversation, inline: Callable[[Media], bytes | None] | None = None) -> dict[str, Any]:
    """The JSON object of a conversation. With ``inline`` it holds the bytes of media as well, but of those it lacks."""

    def part(value: Part) -> dict[str, Any]:
        if isinstance(value, TextFile):
            return {"text": value.text, "file": value.source}
        if isinstance(value, Text):
            return {"text": value.text}
        options = {name: option for name, option in asdict(value.options).items() if option is not None}
        written = {"kind": value.kind, "source": value.source, "sha256": value.digest, "options": options}
        data = None if inline is None else inline(value)
        if data is not None:
            written["base64"] = base64.b64encode(data).decode()
        return written

    return {
        "mistralrs_chat": VERSION,
        "id": conversation.id,
        "created": conversation.created,
        "title": conversation.title,
        "model": conversation.model,
        **({} if conversation.branch is None else {"branch": asdict(conversation.branch)}),
        "system": None if conversation.system is None else conversation.system.text,
        "turns": [
            {
                "question": [part(value) for value in turn.question.parts],
                "answer": turn.answer,
                "typed": turn.typed,
                "staged": turn.staged,
                "cut": turn.cut,
                "reasoning": turn.reasoning,
                "model": turn.model,
                "usage": asdict(turn.usage),
                "timing": asdict(turn.timing),
                **({"tools": [asdict(one) for one in turn.rounds]} if turn.rounds else {}),
                **turn.found.objects(),
                **({"finish": turn.finish} if turn.finish else {}),
            }
            for turn in conversation.turns
        ],
    }


def from_object(found: Any, name: str, keep: Keep) -> Conversation:
    """The conversation of a JSON object; ``keep`` takes the bytes of media that it holds.

    Raises ``OptionError`` where it is something else; ``name`` is what the user calls it.
    """
    if not isinstance(found, dict) or "mistralrs_chat" not in found:
        raise OptionError(f"{name} is not a saved chat.", "Name a file that /save or sessions export has written.")
    if found["mistralrs_chat"] != VERSION:
        raise OptionError(f"{name} was saved by a newer version.", "Update mistralrs: pip install -U mistralrs")
    try:
        conversation = Conversation(
            id=matching(ID, found["id"]),
            created=str(found["created"]),
            turns=[turn(item, keep) for item in found["turns"]],
            model={str(key): value for key, value in dict(found["model"]).items()},
            branch=None if found.get("branch") is None else branch(found["branch"]),
        )
        conversation.instruct(str(found["system"] or ""))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OptionError(
            f"{name} is damaged ({type(error).__name__}: {error}).",
            "Is there a copy of it?",
        ) from error
    return conversation


def branch(item: Mapping[str, Any]) -> Branch:
    """Where it leaves another."""
    return Branch(matching(ID, item["of"]), int(item["at"]))


def turn(item: Mapping[str, Any], keep: Keep) -> Turn:
    """One turn."""
    return Turn(
        question=Message("user", tuple(part_of(value, keep) for value in item["question"])),
        answer=str(item["answer"]),
        typed=str(item["typed"]),
        staged=int(item["staged"]),
        cut=bool(item["cut"]),
        reasoning=str(item["reasoning"]),
        model=str(item["model"]),
        usage=Usage(**{key: int(value) for key, value in item["usage"].items() if key in USAGE}),
        timing=Timing(**{key: float(value) for key, value in item["timing"].items() if key in TIMING}),
        rounds=tuple(tool_round(value) for value in item.get("tools") or ()),
        found=Found.of(item, ()),
        finish=str(item.get("finish") or ""),
    )


def tool_round(item: Mapping[str, Any]) -> ToolRound:
    """One round of tools. The arguments of a call are the text of a JSON object."""
    calls = tuple(ToolCall(str(call["id"]), str(call["name"]), str(call["arguments"])) for call in item["calls"])
    for call in calls:
        dict(json.loads(call.arguments))
    results = None if item.get("results") is None else tuple(map(str, item["results"]))
    return ToolRound(str(item["text"]), calls, results)


def part_of(item: Mapping[str, Any], keep: Keep) -> Part:
    """One part; the bytes of a medium that come along are kept. Damaged ones cost that medium only."""
    if "text" in item and "file" in item:
        return TextFile(str(item["text"]), str(item["file"]))
    if "text" in item:
        return Text(str(item["text"]))
    if item["kind"] not in MODALITIES:
        raise ValueError(f"no such kind of medium: {item['kind']}")
    digest = matching(DIGEST, item["sha256"])
    if (data := whole(item.get("base64"), digest)) is not None:
        keep(data)
    options = MediaOptions(**cast(dict[str, Any], dict(item["options"])))
    return MediaRef(item["kind"], str(item["source"]), options=options, digest=digest)


def whole(written: Any, digest: str) -> bytes | None:
    """The bytes behind base64; ``None`` where they are not those of the digest."""
    try:
        data = base64.b64decode(written, validate=True)
    except (TypeError, ValueError):
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def matching(pattern: re.Pattern[str], value: Any) -> str:
    """A string of the right form: it will be part of a path."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"not allowed: {value!r}")
    return value
