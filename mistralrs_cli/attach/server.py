"""A server that speaks OpenAI's interface, asked as an engine is: this project's own, or another's."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from .. import errors
from ..errors import EngineDown, GenerationError, MistralrsError, ModelAccessDenied, ModelNotFound, OptionError
from ..events import Done, Event, FinishReason, MediaReport, ReasoningDelta, Started, TextDelta, Timing, Usage
from ..grounding import Found
from ..messages import Media, MediaBytes, Message, Text
from ..options import AttachOptions, MediaPolicy, ModelOptions, Sampling, Tools
from .engine import Watch
from .identity import given

KEY = "MISTRALRS_API_KEY"
"""The variable with the key that the server wants."""

OWNER = "mistralrs"
"""Who owns the models that a server of this project lists."""

CONNECT, SILENCE = 10.0, 600.0  # seconds
OPTIONS = {"frames": "num_frames"}
REASONS: dict[str | None, FinishReason] = {"length": "length", "tool_calls": "tool_calls"}
CODES: dict[str, type[MistralrsError]] = {
    "context_length_exceeded": errors.ContextOverflow,
    "rate_limit_exceeded": errors.Overloaded,
}
PLAIN = (
    *("max_tokens", "temperature", "top_p", "top_k", "min_p", "seed"),
    *("repetition_penalty", "frequency_penalty", "presence_penalty", "reasoning_effort"),
)


def at(options: ModelOptions, how: AttachOptions, *, named: bool) -> ServerEngine:
    """The server of ``how.server``. Raises ``OptionError`` for options that a server's model takes no more."""
    given_here = [*given(options), *(["token_source"] if options.token_source != ModelOptions.token_source else [])]
    if given_here:
        flag = "--" + given_here[0].replace("_", "-")
        raise OptionError(
            f"{flag} says how a model is loaded, and that of --server is loaded already.", f"Leave out {flag}."
        )
    assert how.server is not None
    return ServerEngine(how.server, options.model_id if named else None)


class ServerEngine:
    """A server at an address; ``model`` is what it calls the model, by default its first.

    ``key`` is what it wants to be sent, where that is not in the environment.
    """

    modalities = ("image", "audio", "video")  # what is not read is said by the server
    downloads = False
    notices: tuple[str, ...] = ()

    def __init__(self, address: str, model: str | None, key: str | None = None) -> None:
        import httpx

        base = address.strip().rstrip("/").removesuffix("/v1")
        self.address = base if "://" in base else f"http://{base}"
        self.policy = MediaPolicy()
        key = os.environ.get(KEY) if key is None else key
        try:
            self._client = httpx.Client(
                base_url=self.address,
                headers={} if key is None else {"Authorization": f"Bearer {key}"},
                timeout=httpx.Timeout(SILENCE, connect=CONNECT),
            )
        except (httpx.InvalidURL, UnicodeEncodeError, ValueError) as error:
            raise OptionError(
                f"--server {address[:80]} is no address, or {KEY} no key.", "Write http://localhost:1234"
            ) from error
        if self._client.base_url.scheme not in ("http", "https") or not self._client.base_url.host:
            raise OptionError(f"--server {address[:80]} is not on the web.", "Write http://localhost:1234")
        self._model = model

    @property
    def name(self) -> str:
        """The model that answers."""
        if self._model is None:
            listed = self.models() or ({},)
            self._model = str(listed[0].get("id", "default"))
        return self._model

    def models(self) -> tuple[Mapping[str, Any], ...]:
        """Its models, as it lists them. Raises what is wrong with that, as ``ModelNotFound`` where it has no list."""
        listed = self._json(self._send("GET", "/v1/models")).get("data")
        return tuple(each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else ()

    def listed(self) -> tuple[Mapping[str, Any], ...]:
        """Its models; none where it has no list. Raises ``EngineDown`` and ``ModelAccessDenied``."""
        try:
            return self.models()
        except (EngineDown, ModelAccessDenied):
            raise
        except MistralrsError:
            return ()

    @cached_property
    def ours(self) -> bool:
        """Whether it is a server of this project, which reads media of every format and knows their options."""
        return any(model.get("owned_by") == OWNER for model in self.listed())

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        tools: Tools | None = None,
        *,
        watch: Watch | None = None,
    ) -> ServerStream:
        """Answer a conversation whose media are fetched. Raises what is wrong with it."""
        sampling = sampling or Sampling()
        body = {"model": self.name, "messages": [message_object(message) for message in messages]}
        body |= sampling_fields(sampling) | {"stream": True, "stream_options": {"include_usage": True}}
        sent = time.perf_counter()
        response = self._send("POST", "/v1/chat/completions", body)
        media = [medium for message in messages for medium in message.media]
        return ServerStream(self, response, media, sent, constrained=sampling.grammar is not None)

    def post_form(self, path: str, fields: Mapping[str, Any], file: tuple[str, bytes, str]) -> dict[str, Any]:
        """The JSON that a form with a file (its name, bytes and type) is answered with. Raises what ``stream`` does."""
        import httpx

        try:
            response = self._client.post(path, data=dict(fields), files={"file": file})
        except (httpx.HTTPError, RuntimeError) as error:  # the second where the client was closed meanwhile
            raise self.unreachable(error) from error
        return self._json(self._checked(response))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        import httpx

        try:
            request = self._client.build_request(method, path, json=body)
            response = self._client.send(request, stream=True)
            if not response.is_success:
                response.read()
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        return self._checked(response)

    def _checked(self, response: Any) -> Any:
        """The response, unless it says that something is wrong."""
        if response.has_redirect_location:
            there = str(response.headers["location"])
            raise OptionError(f"{self.address} redirects to {there[:200]}.", "Give that server's address to --server.")
        if response.is_error:
            raise said(response.status_code, self._json(response, strict=False))
        return response

    def _json(self, response: Any, *, strict: bool = True) -> dict[str, Any]:
        try:
            found = json.loads(response.read())
        except ValueError as error:
            if strict:
                raise EngineDown(f"What answers at {self.address} is no such server.", "Check the address.") from error
            found = None
        return found if isinstance(found, dict) else {}

    def unreachable(self, error: Exception) -> EngineDown:
        """The error for a server that does not answer."""
        return EngineDown(
            f"No answer from {self.address}: {errors.reason(error)}.", "Check the address, and that the server is up."
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ServerStream(Iterator[Event]):
    """The events of one answer; times are as seen from here. Closing it ends the request."""

    def __init__(
        self, engine: ServerEngine, response: Any, media: Sequence[Media], sent: float, *, constrained: bool
    ) -> None:
        self._engine = engine
        self._response = response
        self._media = media
        self._sent = sent
        self._constrained = constrained
        self._events = self._read()

    def __next__(self) -> Event:
        """Wait for the next event."""
        return next(self._events)

    def _read(self) -> Iterator[Event]:
        import httpx

        yield Started(0, tuple(report(medium) for medium in self._media))
        first, count, reason, usage, found = 0.0, 0, None, Usage(), Found()
        try:
            for line in self._response.iter_lines():
                data = line[5:].strip() if line.startswith("data:") else ""
                if data == "[DONE]":
                    reason = reason or "stop"
                chunk = json.loads(data) if data and data != "[DONE]" else {}
                if chunk.get("error"):
                    raise said(500, chunk)
                if chunk.get("usage"):
                    usage = usage_of(chunk["usage"])
                for choice in chunk.get("choices") or ():
                    delta = choice.get("delta") or {}
                    reason = choice.get("finish_reason") or reason
                    found = marked(choice, self._media) or found
                    thought = delta.get("reasoning_content") or delta.get("reasoning")
                    if thought or delta.get("content"):
                        first = first or time.perf_counter() - self._sent
                        count += 1
                    if thought:
                        yield ReasoningDelta(thought)
                    if delta.get("content"):
                        yield TextDelta(delta["content"])
        except httpx.HTTPError as error:
            raise self._engine.unreachable(error) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise GenerationError(f"What {self._engine.address} sent is no answer.", "Check the address.") from error
        if reason is None:
            raise GenerationError(f"The answer of {self._engine.address} broke off.", "Ask again.")
        if not usage.completion_tokens:
            usage = Usage(completion_tokens=count)
        total = time.perf_counter() - self._sent
        ended = REASONS.get(reason, "stop")
        incomplete = self._constrained and ended == "length"
        yield Done(ended, usage, Timing(first or total, total), incomplete=incomplete, found=found)

    def close(self) -> None:
        """Hang up."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def marked(choice: Mapping[str, Any], media: Sequence[Media]) -> Found:
    """The boxes and points that a server of this project names; another may mean something else by these words."""
    try:
        found = Found.of(choice, [medium.source for medium in media])
    except (LookupError, TypeError, ValueError, AttributeError):
        return Found()
    numbers = [box.media for box in found.boxes] + [point.media for point in found.points]
    return found if all(0 <= number < len(media) for number in numbers) else Found()


def report(medium: Media) -> MediaReport:
    """What is known here of a medium that was sent."""
    size = len(medium.data) if isinstance(medium, MediaBytes) else 0
    return MediaReport(medium.kind, medium.source, f"{size:,} bytes sent", 0)


def usage_of(plain: Mapping[str, Any]) -> Usage:
    """Token counts as servers tell them."""
    details = plain.get("prompt_tokens_details") or {}
    kinds = {f"{kind}_tokens": details.get(f"{kind}_tokens") or 0 for kind in ("cached", "image", "audio", "video")}
    return Usage(plain.get("prompt_tokens") or 0, plain.get("completion_tokens") or 0, **kinds)


def message_object(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form."""
    content = [part_object(part) for part in message.parts] if message.media else encodable(message.text)
    found: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    answers = {"tool_call_id": message.tool_call_id, "name": message.name}
    return found | {name: value for name, value in answers.items() if value is not None}


def encodable(text: str) -> str:
    """Text with ``?`` for what UTF-8 cannot hold, as in the name of a file."""
    return text.encode("utf-8", "replace").decode()


def part_object(part: Text | Media) -> dict[str, Any]:
    """A part in OpenAI's form; how a medium is read stands beside its address where it was said."""
    if isinstance(part, Text):
        return {"type": "text", "text": encodable(part.text)}
    assert isinstance(part, MediaBytes)
    data = base64.b64encode(part.data).decode()
    name = part.format.name.lower() if part.format is not None else ""
    if part.kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": data, "format": "mp3" if name == "mp3" else "wav"}}
    mime = f"image/{name or 'png'}" if part.kind == "image" else "video/mp4"
    how = {OPTIONS.get(option, option): value for option, value in asdict(part.options).items() if value is not None}
    kind = f"{part.kind}_url"
    return {"type": kind, kind: {"url": f"data:{mime};base64,{data}", **how}}


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """What was said of the sampling, as a request's fields."""
    found = {name: value for name in PLAIN if (value := getattr(sampling, name)) is not None}
    if sampling.stop:
        found["stop"] = list(sampling.stop)
    if sampling.thinking is not None:
        found["enable_thinking"] = sampling.thinking
    if (grammar := sampling.grammar) is not None:
        if grammar.kind == "json_schema":
            schema = {"name": "answer", "schema": json.loads(grammar.value)}
            found["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            found["grammar"] = {"type": grammar.kind, "value": grammar.value}
    return found


def said(status: int, body: Mapping[str, Any]) -> MistralrsError:
    """The error that a server answered: of our own class where it names one, else by its status."""
    error = body.get("error")
    detail = error if isinstance(error, dict) else {}
    message = str(detail.get("message") or error or body.get("message") or f"The server answered {status}.")
    name = "".join(word.title() for word in str(detail.get("code") or "").split("_"))
    kind = CODES.get(str(detail.get("code"))) or getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, MistralrsError):
        return kind(message)
    if status in (401, 403):
        return ModelAccessDenied(message, f"Put the key into {KEY}.")
    if status == 404:
        return ModelNotFound(message, "Check the address after --server, and the model after -m.")
    return OptionError(message) if status < 500 and status != 429 else GenerationError(message)
