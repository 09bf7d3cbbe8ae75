"""``POST /v1/audio/transcriptions`` and ``/translations``: speech to text, by a model that reads audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import MistralrsError
from ...events import Event, TextDelta
from ...protocol import usage
from ...speech.formats import as_object, whole_text
from ...speech.stream import TranscriptStream
from ...speech.transcript import Transcript
from ..exchange import Interface, ResponseFormat
from ..generation_request import GenerationRequest, SpeechRequest
from ..http import errors
from ..http.sse import event
from ..response_streams import ResponseStreams
from ..served_model import ServedModel
from .transcription_form import TranscriptionRequest, TranslationRequest


def to_request(body: TranscriptionRequest, model: ServedModel) -> GenerationRequest:
    """What is to be transcribed, and how."""
    return GenerationRequest(speech=SpeechRequest(body.audio, body.options), sampling=body.sampling)


class Transcription(ResponseFormat):
    """The response: JSON with usage, text or subtitles, or a stream of ``transcript.text`` events."""

    def __init__(self, body: TranscriptionRequest, model: str, streams: ResponseStreams) -> None:
        self._body = body
        self._streams = streams

    @property
    def _transcript(self) -> Transcript:
        (stream,) = self._streams.streams
        assert isinstance(stream, TranscriptStream)
        return stream.transcript

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any] | str:
        """The transcript in the format that was asked for."""
        body, transcript = self._body, self._transcript
        match body.response_format:
            case "json":
                return as_object(transcript, verbose=False) | {"usage": self._usage()}
            case "verbose_json":
                segments = "segment" in body.granularities or not body.granularities
                found = as_object(transcript, verbose=True, words=body.options.words, segments=segments)
                return found | {"usage": {"type": "duration", "seconds": round(transcript.seconds, 3)}}
            case "text":
                return transcript.text + "\n"
            case "srt":
                return whole_text(transcript, "srt")
            case "vtt":
                return whole_text(transcript, "vtt")

    def chunk(self, index: int, happened: Event) -> Iterator[bytes]:
        """A delta of text."""
        if isinstance(happened, TextDelta):
            yield event({"type": "transcript.text.delta", "delta": happened.text})

    def error(self, error: MistralrsError) -> Iterator[bytes]:
        """The error."""
        yield event(errors.body(error, ""))

    def end(self) -> Iterator[bytes]:
        """The whole text, with its usage."""
        yield event({"type": "transcript.text.done", "text": self._transcript.text, "usage": self._usage()})

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
TRANSLATIONS = Interface("translate", TranslationRequest, to_request, Transcription)
