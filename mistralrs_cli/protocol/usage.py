"""The ``usage`` of a response: OpenAI's counts, and how fast it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..events import Done, Timing, Usage


def usage(done: Done) -> dict[str, Any]:
    """Counts, seconds and tokens per second of one answer, under the names of section ``usage`` in docs/server.md."""
    counts, timing = done.usage, done.timing
    prompt, said = counts.prompt_tokens, counts.completion_tokens
    decoding = timing.total - timing.first_token
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {
            "cached_tokens": counts.cached_tokens,
            "image_tokens": counts.image_tokens,
            "audio_tokens": counts.audio_tokens,
            "video_tokens": counts.video_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "avg_tok_per_sec": rate(counts.read_tokens + said, timing.total),
        "avg_prompt_tok_per_sec": rate(counts.read_tokens, timing.prefill),
        "avg_compl_tok_per_sec": round(timing.decode_rate(counts), 2),
        "total_time_sec": round(timing.total, 4),
        "total_prompt_time_sec": round(timing.first_token, 4),
        "total_completion_time_sec": round(decoding, 4),
    }


def rate(tokens: int, seconds: float) -> float:
    """Tokens per second; 0 where no time passed."""
    return round(tokens / seconds, 2) if seconds > 0 else 0.0


def together(ends: Sequence[Done], choices: int | None = None) -> Done:
    """Several answers as one. Every ``choices`` of them (all, where that is not said) had one prompt, counted once."""
    first = ends[0]
    prompts = [end.usage for end in ends[:: choices or len(ends)]]
    counts = Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in prompts),
        completion_tokens=sum(end.usage.completion_tokens for end in ends),
        cached_tokens=sum(usage.cached_tokens for usage in prompts),
        image_tokens=sum(usage.image_tokens for usage in prompts),
        audio_tokens=sum(usage.audio_tokens for usage in prompts),
        video_tokens=sum(usage.video_tokens for usage in prompts),
        reasoning_tokens=sum(end.usage.reasoning_tokens for end in ends),
    )
    timing = Timing(
        min(end.timing.first_token for end in ends),
        max(end.timing.total for end in ends),
        sum(end.timing.prefill for end in ends[:: choices or len(ends)]),
    )
    return Done(first.reason, counts, timing)
