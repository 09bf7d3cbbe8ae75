"""What the streams of chat completions and of completions have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import MistralrsError
from ...protocol import head, usage
from ..exchange import ResponseFormat
from ..http import errors
from ..http.sse import event
from ..response_streams import ResponseStreams
from .common_fields import StreamOptions


class OpenAIChunks(ResponseFormat):
    """Chunks with one choice each, then the usage if wanted, then ``[DONE]``. ``kind`` is the chunks' ``object``."""

    def __init__(self, kind: str, model: str, streams: ResponseStreams, options: StreamOptions | None) -> None:
        self.model = model
        self.streams = streams
        self._with_usage = options is not None and bool(options.include_usage)
        self._head = head(kind, model)

    def choice_chunk(self, choice: dict[str, Any]) -> bytes:
        """The chunk with this choice."""
        return event(self._head | {"choices": [choice]} | ({"usage": None} if self._with_usage else {}))

    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """The error, and no ``[DONE]``."""
        yield event(errors.body(error, ""))

    def end(self) -> Iterator[bytes]:
        """The usage, if wanted, and ``[DONE]``."""
        if self._with_usage:
            yield event(self._head | {"choices": [], "usage": usage(self.streams.total())})
        yield event("[DONE]")
