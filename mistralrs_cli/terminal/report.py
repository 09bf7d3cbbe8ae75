"""An answer, or what the model would be given, as an object for programs or a table for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from ..events import MediaReport, Reply
from ..media.labels import is_inline
from .console import Console

LONGEST_PATH = 4096


def reply_object(reply: Reply, model: str, before: int = 0) -> dict[str, Any]:
    """The object of ``--json``. Its ``media`` are those of the question, ``before`` which the prompt had others."""
    usage, timing = reply.usage, reply.timing
    return {
        "answer": reply.text,
        **({"reasoning": reply.reasoning} if reply.reasoning else {}),
        "finish_reason": reply.reason,
        **({"incomplete": True} if reply.incomplete else {}),
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
            "prefill_seconds": round(timing.prefill, 4),
            "total_seconds": round(timing.total, 4),
            "prompt_tokens_per_second": round(timing.prompt_rate(usage), 2),
            "decode_tokens_per_second": round(timing.decode_rate(usage), 2),
        },
        "media": media_objects(reply.media[before:]),
        **reply.found.objects(before),
    }


@dataclass(frozen=True, slots=True)
class Detail:
    """One fact on how a model would be loaded: a line for people, a value for programs."""

    name: str
    words: str
    value: Any


@dataclass(frozen=True, slots=True)
class PromptReport:
    """What a model would be given and how it would be loaded, found without its weights."""

    model: str
    family: str
    context_length: int | None
    prompt_tokens: int
    media: tuple[MediaReport, ...]
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True)
class HeardMedium:
    """A recording: its length and that of the speech in it, in seconds, and the windows it is transcribed in."""

    source: str
    seconds: float
    windows: int
    speech: float

    @property
    def summary(self) -> str:
        """``180.0 s, 47.3 s of speech in 14 windows``."""
        windows = f"{self.windows:,} window{'' if self.windows == 1 else 's'}"
        return f"{self.seconds:.1f} s, {self.speech:.1f} s of speech in {windows}"


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """What a speech model would be given and how it would be loaded, found without its weights."""

    model: str
    family: str
    media: tuple[HeardMedium, ...]
    details: tuple[Detail, ...] = ()


def speech_object(report: SpeechReport) -> dict[str, Any]:
    """The object of ``inspect --json`` for a speech model."""
    return {
        "model": report.model,
        "family": report.family,
        "media": [
            {
                "kind": "audio",
                "source": shown(each.source),
                "summary": each.summary,
                "seconds": round(each.seconds, 3),
                "speech_seconds": round(each.speech, 3),
                "windows": each.windows,
            }
            for each in report.media
        ],
        **{detail.name: detail.value for detail in report.details},
    }


def show_speech(report: SpeechReport, console: Console) -> None:
    """A table of the recordings that a speech model would be given."""
    width = max((cell_len(shown(each.source)) for each in report.media), default=0)
    lines = [f"{report.model} ({report.family})"]
    lines += [f"audio  {padded(shown(each.source), width)}  {each.summary}" for each in report.media]
    lines.append("writes down speech: mistralrs transcribe")
    lines += [f"{detail.name}: {detail.words}" for detail in report.details]
    console.answer("\n".join(lines) + "\n")


def prompt_object(report: PromptReport) -> dict[str, Any]:
    """The object of ``--dry-run --json``."""
    return {
        "model": report.model,
        "family": report.family,
        "context_length": report.context_length,
        "prompt_tokens": report.prompt_tokens,
        "media": media_objects(report.media),
        **{detail.name: detail.value for detail in report.details},
    }


def media_objects(media: Sequence[MediaReport]) -> list[dict[str, Any]]:
    """What became of each medium, in order."""
    return [
        {"kind": report.kind, "source": shown(report.source), "summary": report.summary, "tokens": report.tokens}
        for report in media
    ]


def show_line(value: dict[str, Any], console: Console) -> None:
    """One JSON object on a line of stdout."""
    console.answer(json.dumps(value, ensure_ascii=False) + "\n")


def show_object(value: dict[str, Any], console: Console) -> None:
    """One JSON object on stdout."""
    console.answer(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def show_prompt(report: PromptReport, console: Console) -> None:
    """A table of what the model would be given."""
    rows = [("kind", "source", "what it is", "tokens")]
    rows += [(medium.kind, shown(medium.source), medium.summary, f"{medium.tokens:,}") for medium in report.media]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{report.model} ({report.family})"]
    for kind, source, what, tokens in rows if report.media else []:
        cells = [padded(kind, widths[0]), padded(source, widths[1]), padded(what, widths[2]), tokens.rjust(widths[3])]
        lines.append("  ".join(cells))
    words = report.prompt_tokens - sum(medium.tokens for medium in report.media)
    lines.append(f"prompt: {report.prompt_tokens:,} tokens, {words:,} of them words and template")
    if report.context_length is not None:
        fits = "fits" if report.prompt_tokens < report.context_length else "does not fit"
        lines.append(f"context: {report.context_length:,} tokens, so it {fits}")
    lines += [f"{detail.name}: {detail.words}" for detail in report.details]
    console.answer("\n".join(lines) + "\n")


def padded(text: str, width: int) -> str:
    """Text as wide as its column; wide letters count double."""
    return text + " " * (width - cell_len(text))


def shown(source: str) -> str:
    """A source as the user wrote it, but inline data cut: it would fill the screen."""
    inline = is_inline(source) or len(source) > LONGEST_PATH
    return f"{source[:40]}… ({len(source):,} characters)" if inline and len(source) > 80 else source
