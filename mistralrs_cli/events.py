"""What comes out: the events of one answer, and the reply they add up to."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from .grounding import Found, ImageCoordinates, find
from .messages import Modality, ToolCall

FinishReason = Literal["stop", "length", "canceled", "tool_calls"]


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What the model was given for one medium: ``640×480 JPEG`` as ``64`` tokens, say.

    ``space`` says what the numbers of boxes and points in an answer mean there.
    """

    kind: Modality
    source: str
    summary: str
    tokens: int
    space: ImageCoordinates | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt is ready: its length in tokens and what became of each medium."""

    prompt_tokens: int
    media: tuple[MediaReport, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer: whole characters only, never a part of a stop string."""

    text: str


@dataclass(frozen=True, slots=True)
class TimedText:
    """Text that a speech model gave times for, in seconds of the audio; it repeats what ``TextDelta`` said.

    ``words`` are its words, each with its own times, where they were asked for. ``language`` is the code of the
    language that the model found. ``estimated`` says that a server took the times of its own windows.
    """

    text: str
    start: float
    end: float
    words: tuple["TimedText", ...] = ()
    language: str | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks before it answers; no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token, its text and its log probability (natural logarithm) before any sampling option is applied.

    ``encoded`` are its own bytes, which need not be a whole character. A prompt's first token has no probability: NaN.
    """

    id: int
    text: str
    logprob: float
    encoded: bytes = b""


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The next token of the answer and the likeliest ones in its place; comes before the token's text."""

    chosen: ScoredToken
    likeliest: tuple[ScoredToken, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """The tokens of the prompt, where they were asked for; comes before the answer."""

    tokens: tuple[TokenLogprobs, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer. Media tokens are part of the prompt's, those of thoughts part of the completion's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    video_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def read_tokens(self) -> int:
        """Tokens of the prompt that the model read, rather than found in its cache."""
        return max(0, self.prompt_tokens - self.cached_tokens)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the request's arrival: ``first_token`` until the first token, ``total`` until the last.

    ``prefill`` are the seconds among them in which the model read the prompt; 0 where they were not measured.
    """

    first_token: float = 0.0
    total: float = 0.0
    prefill: float = 0.0

    def after(self, seconds: float) -> "Timing":
        """The same seen from so many seconds earlier, as when media were read and decoded first."""
        if not self.first_token:
            return self
        return replace(self, first_token=self.first_token + seconds, total=self.total + seconds)

    def prompt_rate(self, usage: Usage) -> float:
        """Prompt tokens read per second of reading; those taken from the cache were not read. 0 if not measured."""
        return usage.read_tokens / self.prefill if self.prefill else 0.0

    def decode_rate(self, usage: Usage) -> float:
        """Answer tokens per second after the first."""
        seconds = self.total - self.first_token
        return (usage.completion_tokens - 1) / seconds if usage.completion_tokens > 1 and seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """The answer has ended, and why: ``stop`` is the stop string that ended it, if one did.

    ``incomplete`` says that it was to follow a grammar and ended before it did. ``found`` are its boxes and points,
    where another process has looked for them.
    """

    reason: FinishReason
    usage: Usage
    timing: Timing
    stop: str | None = None
    incomplete: bool = False
    found: Found | None = None


Event = Started | TextDelta | TimedText | ReasoningDelta | ToolCall | TokenLogprobs | PromptLogprobs | Done


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    text: str
    reason: FinishReason
    usage: Usage
    timing: Timing
    media: tuple[MediaReport, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    stop: str | None = None
    incomplete: bool = False
    prompt_logprobs: tuple[TokenLogprobs, ...] = ()
    found: Found = field(default_factory=Found)
    """The boxes and points of the answer, in pixels of the images it is about."""


def collect(events: Iterable[Event]) -> Reply:
    """Fold the events of one answer into a reply."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: list[ToolCall] = []
    logprobs: list[TokenLogprobs] = []
    asked: tuple[TokenLogprobs, ...] = ()
    media: tuple[MediaReport, ...] = ()
    done = Done("canceled", Usage(), Timing())
    for event in events:
        match event:
            case Started():
                media = event.media
            case TextDelta():
                text.append(event.text)
            case ReasoningDelta():
                reasoning.append(event.text)
            case ToolCall():
                calls.append(event)
            case TokenLogprobs():
                logprobs.append(event)
            case PromptLogprobs():
                asked = event.tokens
            case Done():
                done = event
    whole = "".join(text)
    return Reply(
        text=whole,
        reason=done.reason,
        usage=done.usage,
        timing=done.timing,
        media=media,
        reasoning="".join(reasoning),
        tool_calls=tuple(calls),
        logprobs=tuple(logprobs),
        stop=done.stop,
        incomplete=done.incomplete,
        prompt_logprobs=asked,
        found=find(whole, media) if done.found is None else done.found,
    )
