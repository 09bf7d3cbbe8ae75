"""What the server asks of a model: plain values in, streams of events out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..events import Event
from ..messages import Media, Message
from ..options import Sampling, Tools

if TYPE_CHECKING:
    from ..engine import EngineStats, ModelInfo, PromptReport


class AnswerStream(Protocol):
    """One answer while it is generated. Closing it cancels it."""

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        ...

    @property
    def cached_tokens(self) -> int:
        """How many prompt tokens came from the prefix cache; known from the first token on."""
        ...

    @property
    def drawing(self) -> tuple[float, float]:
        """The temperature and top-p of its sampling."""
        ...

    @property
    def input_bytes(self) -> int:
        """Memory that the prompt's media take until the model has read them."""
        ...

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, from any thread, when ``ready_events`` has more; it returns at once."""
        ...

    def ready_events(self) -> Iterator[Event]:
        """The events that are there, without waiting. Raises what went wrong."""
        ...

    def close(self) -> None:
        """Cancel what is not done."""
        ...


class Backend(Protocol):
    """A loaded model. ``Engine`` is the one in this process; another may be a replica elsewhere.

    Threads share it. Media in messages are decoded. Methods that take a request raise what is wrong with it, before
    anything is queued.
    """

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        ...

    @property
    def stats(self) -> EngineStats:
        """What it is doing now, and why it is down, if it is."""
        ...

    @property
    def media_bytes(self) -> int:
        """How much the decoded media of waiting requests may take together."""
        ...

    def stream(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> AnswerStream:
        """Answer a conversation."""
        ...

    def continue_text(self, prompt: str | Sequence[int], sampling: Sampling | None = None) -> AnswerStream:
        """Continue a text, or token ids, without a chat template."""
        ...

    def prompt_tokens(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> list[int]:
        """The token ids of the prompt that ``stream`` would make of a conversation."""
        ...

    def report(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> PromptReport:
        """What ``stream`` would make of a conversation: the tokens of the prompt, and each medium's."""
        ...

    def unread(self, sampling: Sampling) -> list[str]:
        """The template inputs of ``sampling`` that the chat template does not read."""
        ...

    def transcription(
        self,
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> tuple[list[Message], Mapping[str, Any]]:
        """A conversation that has speech transcribed, or translated, and its chat template's inputs.

        ``words`` asks for the times of words, where the model gives any.
        """
        ...

    def check_length(self, *texts: str) -> None:
        """Raise ``ContextOverflow`` for texts that could never fit the context."""
        ...

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """A text's token ids; ``special`` adds what the tokenizer puts around a text."""
        ...

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of token ids; ``special`` shows the special ones. Raises ``OptionError`` for unknown ids."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """One token's own bytes, which need not be a whole character."""
        ...

    def close(self) -> None:
        """End it; unfinished answers fail."""
        ...
