"""A conversation as chat templates take it, and what they say where they refuse one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import MediaDecodeError, MistralrsError, OptionError, TemplateError, first_line
from ..messages import Message

Turn = dict[str, Any]
JOINABLE = {"role", "content"}


def merged(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Content items with neighbouring texts in one: some templates read the first text alone, others trim each."""
    found: list[dict[str, Any]] = []
    for item in items:
        if found and item["type"] == found[-1]["type"] == "text":
            found[-1] = {"type": "text", "text": found[-1]["text"] + item["text"]}
        else:
            found.append(item)
    return found


def extra_fields(message: Message) -> dict[str, Any]:
    """What a turn says beside its content, under the names that chat templates use."""
    said: dict[str, Any] = {
        "name": message.name,
        "tool_call_id": message.tool_call_id,
        "reasoning_content": message.reasoning or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
        or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def require_template(processor: Any) -> None:
    """Raise ``TemplateError`` where a checkpoint has no template at all."""
    if not getattr(processor, "chat_template", None):
        raise TemplateError(
            "This checkpoint has no chat template.",
            "Name one: --chat-template FILE.json or --jinja-explicit FILE.jinja",
        )


@contextmanager
def template_errors(conversation: Sequence[Turn]) -> Iterator[None]:
    """What a template raises on a conversation, as ``TemplateError``; what a processor does, as ``MediaDecodeError``.

    A template's errors come out of Jinja; everything else is the processor's, of whatever kind.
    """
    import jinja2

    try:
        yield
    except (MistralrsError, MemoryError):
        raise
    except jinja2.TemplateError as error:
        line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise TemplateError(
            f"The chat template refused this conversation{line}: {error}",
            "Check the order of roles, or override the template with --jinja-explicit FILE.jinja",
        ) from error
    except Exception as error:  # processors raise whatever torch, numpy and tokenizers do
        if "continue_final_message" in str(error):
            raise TemplateError(
                "The chat template changes the last turn, so it cannot be continued.",
                "End with a turn of the user, or override the template with --jinja-explicit FILE.jinja",
            ) from error
        if in_template(error):
            raise TemplateError(
                f"The chat template failed on this conversation: {error}",
                "Does it expect content as text, or as a list of parts? --jinja-explicit FILE.jinja overrides it.",
            ) from error
        shown = listed(conversation)
        if not shown:
            raise TemplateError(
                f"The model's processor refused this conversation: {first_line(error)}",
                "Override the chat template with --jinja-explicit FILE.jinja",
            ) from error
        raise MediaDecodeError(
            f"The model's processor cannot prepare {shown}.",
            "Crop it, or try another size. MISTRALRS_DEBUG=1 shows the cause.",
        ) from error


def is_refusal(error: TemplateError) -> bool:
    """Whether a template itself refused a conversation, with ``raise_exception``, say; not where it is no template."""
    import jinja2

    return isinstance(error.__cause__, jinja2.TemplateError) and not isinstance(
        error.__cause__, jinja2.TemplateSyntaxError
    )


def require_unicode(conversation: Sequence[Turn]) -> None:
    """Raise ``OptionError`` for a text that no tokenizer takes: half of a character, as JSON and shells can hand in."""
    for part in parts_of(conversation):
        if not str(part.get("text", "")).isascii():
            try:
                part["text"].encode()
            except UnicodeEncodeError as error:
                raise OptionError(
                    f"A text of the conversation holds half of a character ({error.object[error.start]!a}).",
                    "Send it as UTF-8.",
                ) from error


def in_template(error: Exception) -> bool:
    """Whether an error was raised while Jinja ran a template."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            return True
        trace = trace.tb_next
    return False


def listed(conversation: Sequence[Turn]) -> str:
    """The media of a conversation in a few words: ``an image of 1×1 pixels, audio of 3.0 s``."""
    words = []
    for part in parts_of(conversation):
        match part["type"]:
            case "image":
                words.append("an image of {}×{} pixels".format(*part["image"].size))
            case "audio":
                words.append(f"audio of {len(part['audio']):,} samples")
            case "video":
                frames, height, width = part["video"].shape[:3]
                words.append(f"a video of {frames} frames of {width}×{height} pixels")
    return ", ".join(dict.fromkeys(words))


def parts_of(conversation: Sequence[Turn]) -> Iterator[dict[str, Any]]:
    """Every part of every turn that has parts."""
    for turn in conversation:
        yield from (part for part in turn["content"] if not isinstance(part, str))


def simpler(conversation: Sequence[Turn]) -> Iterator[list[Turn]]:
    """The same words for a template that refuses them: neighbours of one role joined, then no system turn either.

    Some templates want user and assistant to alternate and know no results of functions, which are told as turns of
    the user; some know no system turn. One that refuses it beside media does so for its model's sake.
    """
    joined = alternating(conversation)
    if len(joined) < len(conversation):
        yield joined
    if conversation[0]["role"] == "system" and len(conversation) > 1 and not listed(conversation):
        first, second, *rest = conversation
        if second["role"] == "user":
            yield alternating([{**first, "role": "user"}, second, *rest])


def alternating(conversation: Sequence[Turn]) -> list[Turn]:
    """Neighbours of one role as one turn, a blank line between them. Calls of functions stay turns of their own."""
    found: list[Turn] = []
    for turn in conversation:
        last = found[-1] if found else None
        if last is None or last["role"] != turn["role"] or set(last) != JOINABLE or set(turn) != JOINABLE:
            found.append({**turn, "content": list(turn["content"])})
        else:
            blank = [{"type": "text", "text": "\n\n"}] if last["content"] and turn["content"] else []
            last["content"] = merged([*last["content"], *blank, *turn["content"]])
    return found
