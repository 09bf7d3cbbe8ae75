"""``POST /v1/audio/transcriptions``: speech to text, by a model that reads audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...errors import MistralrsError
from ...events import Event, TextDelta, collect
from ...protocol import usage
from ..exchange import Interface, ResponseFormat
from ..generation_request import GenerationRequest
from ..http import errors
from ..http.sse import event
from ..response_streams import ResponseStreams
from ..service import Service
from .transcription_form import TranscriptionRequest


def to_request(body: TranscriptionRequest, service: Service) -> GenerationRequest:
    """What the model is asked for, in the words or with the template inputs of its family."""
    backend = service.ready()
    messages, template_inputs = backend.transcription(body.audio, body.language, prompt=body.prompt)
    return GenerationRequest(messages=tuple(messages), sampling=replace(body.sampling, template_kwargs=template_inputs))


class Transcription(ResponseFormat):
    """The response: text with usage, text alone, or a stream of ``transcript.text`` events."""

    def __init__(self, body: TranscriptionRequest, model: str, streams: ResponseStreams) -> None:
        self._body = body
        self._streams = streams
        self._text = ""

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any] | str:
        """The text, with its usage where the format is JSON."""
        text = collect(events[0]).text
        return text + "\n" if self._body.response_format == "text" else {"text": text, "usage": self._usage()}

    def chunk(self, index: int, happened: Event) -> Iterator[bytes]:
        """A delta of text."""
        if isinstance(happened, TextDelta):
            self._text += happened.text
            yield event({"type": "transcript.text.delta", "delta": happened.text})

    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """The error."""
        yield event(errors.body(error, ""))

    def end(self) -> Iterator[bytes]:
        """The whole text, with its usage."""
        yield event({"type": "transcript.text.done", "text": self._text, "usage": self._usage()})

    def _usage(self) -> dict[str, Any]:
        """OpenAI's counts for audio."""
        counts = usage(self._streams.total())
        audio = counts["prompt_tokens_details"]["audio_tokens"]
        return {
            "type": "tokens",
            "input_tokens": counts["prompt_tokens"],
            "input_token_details": {"audio_tokens": audio, "text_tokens": counts["prompt_tokens"] - audio},
            "output_tokens": counts["completion_tokens"],
            "total_tokens": counts["total_tokens"],
        }


TRANSCRIPTIONS = Interface("transcribe", TranscriptionRequest, to_request, Transcription)
