"""A conversation to read elsewhere: Markdown, plain text, or one HTML page with its images, audio and video."""

from __future__ import annotations

import base64
import html
import json
import mimetypes
from collections.abc import Callable

from ..errors import MediaNotFound, OptionError
from ..messages import Media, Message, Modality, Text
from . import Conversation, Turn
from .record import to_object

Bytes = Callable[[Media], bytes | None]
"""The bytes of a medium, or nothing where they are gone."""

LIKELY: dict[Modality, str] = {"image": "image/png", "audio": "audio/mpeg", "video": "video/mp4"}

READABLE = (".md", ".markdown", ".txt", ".html", ".htm")
"""Suffixes of the forms that are to be read, rather than loaded again."""


class Gathering:
    """Reads media from a store for an export, and remembers the names of those that are gone."""

    def __init__(self, read: Callable[[Media], bytes]) -> None:
        self.read = read
        self.gone: dict[str, None] = {}

    def __call__(self, medium: Media) -> bytes | None:
        """The bytes of a medium, if they are there."""
        try:
            return self.read(medium)
        except MediaNotFound as error:
            self.gone[f"{error.message}: that {medium.kind} is left out"] = None
            return None


STYLE = """
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; color: #666; }
p { white-space: pre-wrap; margin: .25rem 0; overflow-wrap: anywhere; }
img, video { max-width: 100%; max-height: 24rem; display: block; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
"""


def as_form(conversation: Conversation, suffix: str, data: Bytes) -> str:
    """In the form that a suffix stands for. Raises ``OptionError`` for others than .md, .txt, .html and .json."""
    match suffix.lower():
        case ".md" | ".markdown":
            return as_markdown(conversation)
        case ".txt":
            return as_text(conversation)
        case ".html" | ".htm":
            return as_html(conversation, data)
        case ".json":
            return json.dumps(to_object(conversation, data), ensure_ascii=False, indent=1) + "\n"
        case _:
            raise OptionError(f"There is no export as {suffix or 'that'}.", "Name a file .md, .txt, .html or .json.")


def as_markdown(conversation: Conversation) -> str:
    """Markdown; media stand as links to where they came from."""
    lines = [f"# {conversation.title}", "", f"{conversation.created}"]
    if conversation.system is not None:
        lines += ["", "## Instructions", "", conversation.system.text]
    for turn in conversation.turns:
        question = "".join(
            part.text if isinstance(part, Text) else f"{'!' if part.kind == 'image' else ''}[{part.kind}]({link(part)})"
            for part in turn.question.parts
        )
        lines += ["", "## You", "", question, "", f"## {turn.model}", ""]
        for line in tool_lines(turn):
            lines += [line, ""]
        lines += [turn.answer]
        if turn.cut:
            lines += ["", "*(stopped here)*"]
    return "\n".join(lines) + "\n"


def as_text(conversation: Conversation) -> str:
    """Plain text."""
    lines = [] if conversation.system is None else [f"Instructions: {conversation.system.text}", ""]
    for turn in conversation.turns:
        lines += [
            f"> {worded(turn.question)}",
            "",
            *tool_lines(turn),
            turn.answer + (" (stopped here)" if turn.cut else ""),
            "",
        ]
    return "\n".join(lines)


def as_html(conversation: Conversation, data: Bytes) -> str:
    """One page that needs no other file and runs no script."""
    body = [f"<h1>{html.escape(conversation.title)}</h1>", f"<p>{html.escape(conversation.created)}</p>"]
    if conversation.system is not None:
        body += ["<h2>Instructions</h2>", f"<p>{html.escape(conversation.system.text)}</p>"]
    for turn in conversation.turns:
        body.append("<h2>You</h2>")
        body += [
            f"<p>{html.escape(part.text)}</p>" if isinstance(part, Text) else element(part, data(part))
            for part in turn.question.parts
        ]
        stopped = "<p><em>(stopped here)</em></p>" if turn.cut else ""
        body += [f"<h2>{html.escape(turn.model)}</h2>", *(f"<p>{html.escape(line)}</p>" for line in tool_lines(turn))]
        body += [f"<p>{html.escape(turn.answer)}</p>{stopped}"]
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
        f"style-src 'unsafe-inline'\"><title>{html.escape(conversation.title)}</title><style>{STYLE}</style></head>"
        "<body>" + "\n".join(body) + "</body></html>\n"
    )


def tool_lines(turn: Turn) -> list[str]:
    """What was said with tools before the answer."""
    return [line for one in turn.rounds for line in one.lines]


def element(medium: Media, data: bytes | None) -> str:
    """A medium as an element that carries its bytes; words where they are gone."""
    name = html.escape(medium.source[:200], quote=True)
    if data is None:
        return f"<p><em>[{medium.kind} {name}: no longer available]</em></p>"
    guessed = mimetypes.guess_type(medium.source)[0] or ""
    mime = guessed if guessed.startswith(f"{medium.kind}/") else LIKELY[medium.kind]
    address = f"data:{html.escape(mime, quote=True)};base64,{base64.b64encode(data).decode()}"
    match medium.kind:
        case "image":
            return f'<img alt="{name}" title="{name}" src="{address}">'
        case "audio":
            return f'<audio controls title="{name}" src="{address}"></audio>'
        case "video":
            return f'<video controls title="{name}" src="{address}"></video>'


def worded(message: Message) -> str:
    """A question in one text, its media in brackets."""
    return "".join(part.text if isinstance(part, Text) else f"[{part.kind} {part.source}]" for part in message.parts)


def link(medium: Media) -> str:
    """A source as the target of a Markdown link; inline data would fill the page."""
    if medium.source[:5].lower() == "data:":
        return "data"
    return f"<{medium.source}>" if any(sign in medium.source for sign in " ()") else medium.source
