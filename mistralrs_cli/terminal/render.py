"""Events as a person reads them: the answer while it is made, then its numbers."""

from collections.abc import Iterable

from ..events import Done, Event, ReasoningDelta, TextDelta, Timing, Usage
from .console import Console
from .plain import PlainView
from .status import Status


def stream_answer(events: Iterable[Event], console: Console, status: Status) -> Done:
    """Write the answer as it comes, ending in a line end, and return how it ended.

    ``status`` says what goes on until the first word.
    """
    done = Done("canceled", Usage(), Timing())
    view = PlainView(console)
    try:
        for event in events:
            match event:
                case ReasoningDelta(text) | TextDelta(text) if text:
                    status.stop()
                    view.show(event)
                case Done():
                    done = event
                case _:
                    pass
    finally:
        status.stop()
        view.close()
    return done


def show_end(done: Done, console: Console, *, stats: bool) -> None:
    """Say on stderr that the answer was cut, if so, and the numbers, if wanted."""
    if done.reason == "length" and not done.incomplete:
        count = done.usage.completion_tokens
        console.note(f"the answer was cut after {count} tokens; --max-tokens N allows more")
    if stats:
        console.stats(stats_line(done.usage, done.timing, console.room))


def stats_line(usage: Usage, timing: Timing, width: int | None = None) -> str:
    """``first token 0.42 s · prompt 312 tokens (256 image), 743/s · answer 57 tokens, 31.2/s``.

    What ``width`` columns do not hold is left out, the details first.
    """
    counts = {"image": usage.image_tokens, "audio": usage.audio_tokens, "video": usage.video_tokens}
    counts["reused"] = usage.cached_tokens
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    kinds = f" ({kinds})" if kinds else ""
    first = f"first token {timing.first_token:.2f} s"
    prompt, reading = f"prompt {usage.prompt_tokens:,}", rate(timing.prompt_rate(usage))
    answer, writing = f"answer {usage.completion_tokens:,}", rate(timing.decode_rate(usage))
    answer_tokens = f"{answer} token{'' if usage.completion_tokens == 1 else 's'}"
    lines = (
        (first, f"{prompt} tokens{kinds}{reading}", answer_tokens + writing),
        (first, f"{prompt}{kinds}{reading}", answer + writing),
        (first, f"{prompt} tokens{reading}", answer_tokens + writing),
        (first, prompt + reading, answer + writing),
        (first, answer + writing),
        (first,),
    )
    return next((line for parts in lines if fits(line := " · ".join(parts), width)), first)


def fits(line: str, width: int | None) -> bool:
    """Whether a line needs no second one; an unknown width holds any."""
    return width is None or len(line) <= width


def rate(per_second: float) -> str:
    """``, 31.2/s``, or nothing where there was nothing to measure."""
    return f", {per_second:,.{0 if per_second >= 100 else 1}f}/s" if per_second else ""
