"""An answer, or what the model would be given, as an object for programs or a table for people."""

import json
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from ..events import MediaReport, Reply
from .console import Console

LONGEST_PATH = 4096


def reply_object(reply: Reply, model: str) -> dict[str, Any]:
    """The object of ``--json``."""
    usage, timing = reply.usage, reply.timing
    return {
        "answer": reply.text,
        "finish_reason": reply.reason,
        "model": model,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
            "image_tokens": usage.image_tokens,
            "audio_tokens": usage.audio_tokens,
            "video_tokens": usage.video_tokens,
        },
        "timings": {
            "first_token_seconds": round(timing.first_token, 4),
            "total_seconds": round(timing.total, 4),
            "prompt_tokens_per_second": round(timing.prompt_rate(usage), 2),
            "decode_tokens_per_second": round(timing.decode_rate(usage), 2),
        },
        "media": media_objects(reply.media),
    }


def prompt_object(model: str, family: str, prompt_tokens: int, media: Sequence[MediaReport]) -> dict[str, Any]:
    """The object of ``--dry-run --json``."""
    return {"model": model, "family": family, "prompt_tokens": prompt_tokens, "media": media_objects(media)}


def media_objects(media: Sequence[MediaReport]) -> list[dict[str, Any]]:
    """What became of each medium, in order."""
    return [
        {"kind": report.kind, "source": shown(report.source), "summary": report.summary, "tokens": report.tokens}
        for report in media
    ]


def show_object(value: dict[str, Any], console: Console) -> None:
    """One JSON object on stdout."""
    console.answer(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def show_prompt(model: str, family: str, prompt_tokens: int, media: Sequence[MediaReport], console: Console) -> None:
    """A table of what the model would be given."""
    rows = [("kind", "source", "what it is", "tokens")]
    rows += [(report.kind, shown(report.source), report.summary, f"{report.tokens:,}") for report in media]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{model} ({family})"]
    for kind, source, what, tokens in rows if media else []:
        cells = [padded(kind, widths[0]), padded(source, widths[1]), padded(what, widths[2]), tokens.rjust(widths[3])]
        lines.append("  ".join(cells))
    words = prompt_tokens - sum(report.tokens for report in media)
    lines.append(f"prompt: {prompt_tokens:,} tokens, {words:,} of them words and template")
    console.answer("\n".join(lines) + "\n")


def padded(text: str, width: int) -> str:
    """Text as wide as its column; wide letters count double."""
    return text + " " * (width - cell_len(text))


def shown(source: str) -> str:
    """A source as the user wrote it, but inline data cut: it would fill the screen."""
    inline = source[:5].lower() == "data:" or len(source) > LONGEST_PATH
    return f"{source[:40]}… ({len(source):,} characters)" if inline and len(source) > 80 else source
