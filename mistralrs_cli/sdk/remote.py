"""A runner whose model is a server's: the same requests over HTTP, the same objects back."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload
from weakref import WeakSet

from ..media.spellings import split_pages
from ..messages import MODALITIES, DecodedMedia, MediaBytes, MediaRef, Part
from ..options import ModelOptions
from .batch import Batch, BatchProgress, BatchResult, OnError, Plain
from .chunks import Chunks
from .from_json import chat_response, completion_response
from .parts import as_json, read_part
from .problems import RequestError, RunnerError, refuse_halves, translated
from .requests import ChatCompletionRequest, CompletionRequest, of_kind
from .responses import ChatCompletionResponse, CompletionResponse
from .transcription import Asked, Recording, TranscriptionResponse, recording
from .values import at_least, instance, number, tokens_of

LONGEST_PATH = 4096
JOBS = 16
"""Requests of a batch that are sent at a time."""

if TYPE_CHECKING:
    from ..attach.record import EngineRecord


class RemoteRunner:
    """``Runner.connect(address)``. Media that are no address are sent whole; text paths are left to the server.

    Without an address it is an engine of this user that runs: then paths are read here, too.

    >>> RemoteRunner("http://localhost:1234/v1")
    <RemoteRunner http://localhost:1234>
    """

    def __init__(self, address: str | None = None, api_key: str | None = None) -> None:
        import httpx

        engine = running() if address is None else None
        self._local = engine is not None
        self._engine, self._key = engine, api_key
        transport = None if engine is None else httpx.HTTPTransport(uds=str(engine.socket))
        address = address or "http://localhost"
        base = address.strip().rstrip("/").removesuffix("/v1")
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._streams: WeakSet[Chunks] = WeakSet()
        try:
            self._client = httpx.Client(
                base_url=base if "://" in base else f"http://{base}",
                headers=headers,
                timeout=httpx.Timeout(600.0, connect=10.0),
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise RequestError(
                f"{address!r:.60} is no address, or the key no key.\nWrite http://localhost:1234, and the key in ASCII."
            ) from error
        if self._client.base_url.scheme not in ("http", "https"):
            raise RequestError(f"{address!r:.60} is not on the web.\nWrite http://localhost:1234.")

    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[False]], model_id: str | None = None
    ) -> ChatCompletionResponse: ...
    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[True]], model_id: str | None = None
    ) -> Chunks: ...
    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[bool], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks: ...
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Any], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks:
        """As ``Runner`` does."""
        of_kind(request, ChatCompletionRequest)
        with translated():
            body = {
                "model": model_id or request.model,
                "messages": as_plain(request.conversation, local=self._local),
                "n": number(request.n_choices, "n_choices"),
                **request.fields,
            }
        if request.tool_definitions is not None:
            body["tools"] = request.tool_definitions
        if request.tool_choice_value is not None:
            body["tool_choice"] = request.tool_choice_value
        if request.stream:
            return self._stream(body | {"stream": True, "stream_options": {"include_usage": True}})
        return chat_response(self._post("/v1/chat/completions", body))

    def send_completion_request(self, request: CompletionRequest, model_id: str | None = None) -> CompletionResponse:
        """As ``Runner`` does."""
        of_kind(request, CompletionRequest)
        refuse_halves(instance(request.prompt, str, "prompt"), "prompt")
        body = {
            "model": model_id or request.model,
            "prompt": request.prompt,
            "n": number(request.n_choices, "n_choices"),
            **request.fields,
        }
        if request.echo_prompt:
            body["echo"] = True
        return completion_response(self._post("/v1/completions", body))

    def batch(
        self,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        *,
        jobs: int | None = None,
        on_error: OnError = "skip",
        progress: Callable[[BatchProgress], object] | None = None,
    ) -> list[BatchResult]:
        """Answer many requests as ``Runner.batch`` does, ``jobs`` at a time, 16 unless given."""
        return self.begun_batch(requests, jobs, on_error, progress).run()

    def begun_batch(
        self,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        jobs: int | None,
        on_error: OnError,
        progress: Callable[[BatchProgress], object] | None,
    ) -> Batch:
        """A batch that can be stopped from another thread."""
        count = JOBS if jobs is None else at_least(1, jobs, "jobs")
        return Batch(Plain(self.send_chat_completion_request), requests, count, on_error, progress)

    def transcribe(self, audio: Any, *, model_id: str | None = None, **given: Unpack[Asked]) -> TranscriptionResponse:
        """As ``Runner.transcribe``; the recording is read and cut in windows here."""
        return self.transcribed(recording(audio, **given), model_id)

    def transcribed(self, asked: Recording, model_id: str | None) -> TranscriptionResponse:
        """The transcript of a recording, which may be stopped from another thread."""
        from ..attach import AttachedEngine
        from ..attach.server import ServerEngine
        from ..attach.speech_server import SpeechServer

        if self._client.is_closed:
            raise RunnerError("This connection is closed.\nOpen another: Runner.connect(address).")
        with translated():
            if self._engine is None:
                with ServerEngine(str(self._client.base_url), model_id, self._key) as server:
                    speech = SpeechServer(server)
                    return asked.written(speech, speech.audio_rate, times=speech.speech_times)
            record = self._engine if model_id is None else record_of(self._engine.process, model_id)
            with AttachedEngine(record, ModelOptions(record.model)) as engine:
                info = engine.wait()
                return asked.written(engine, info.audio_rate, times=info.speech_times)

    def tokenize_text(self, text: str, add_special_tokens: bool = True, *, model_id: str | None = None) -> list[int]:
        """A text's tokens."""
        refuse_halves(instance(text, str, "text"), "text")
        body = {"prompt": text, "add_special_tokens": add_special_tokens, "model": model_id}
        found: list[int] = self._post("/tokenize", body)["tokens"]
        return found

    def detokenize_text(
        self, tokens: int | Iterable[int], skip_special_tokens: bool = True, *, model_id: str | None = None
    ) -> str:
        """The text of tokens."""
        body = {"tokens": tokens_of(tokens), "skip_special_tokens": skip_special_tokens, "model": model_id}
        return str(self._post("/detokenize", body)["prompt"])

    def list_models(self) -> list[str]:
        """The models the server has, under all of their names."""
        return [name for name, _ in self.list_models_with_status()]

    def list_models_with_status(self) -> list[tuple[str, str]]:
        """The names of the models, each with ``loaded``, ``loading`` or ``unloaded``."""
        found = self._answer(self._client.build_request("GET", "/v1/models"))["data"]
        return [(model["id"], model.get("status", "loaded")) for model in found]

    def get_model_status(self, model_id: str | None = None) -> str:
        """``loaded``, ``loading`` or ``unloaded``."""
        return str(self._post("/v1/models/status", {"model": model_id})["status"])

    def is_model_loaded(self, model_id: str | None = None) -> bool:
        """Whether a model is in the server's memory."""
        return self.get_model_status(model_id) == "loaded"

    def unload_model(self, model_id: str | None = None) -> None:
        """Have a model unloaded, once what it is answering has ended; the next request loads it again."""
        self._post("/v1/models/unload", {"model": model_id})

    def reload_model(self, model_id: str | None = None) -> None:
        """Have a model loaded again from its files."""
        self._post("/v1/models/reload", {"model": model_id})

    def close(self) -> None:
        """Close the connection; streams that are being read end."""
        for stream in list(self._streams):
            stream.close()
        self._client.close()

    def __repr__(self) -> str:
        return f"<RemoteRunner {str(self._client.base_url).rstrip('/')}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._answer(self._request(path, body))

    def _request(self, path: str, body: dict[str, Any]) -> Any:
        try:
            return self._client.build_request("POST", path, json=body)
        except (TypeError, ValueError) as error:  # what JSON has not, such as a set or NaN
            raise RequestError("The request holds a value that JSON cannot.\nGive texts, numbers and lists.") from error

    def _send(self, request: Any, *, stream: bool = False) -> Any:
        import httpx

        if self._client.is_closed:
            raise RunnerError("This connection is closed.\nOpen another: Runner.connect(address).")
        try:
            return self._client.send(request, stream=stream)
        except httpx.HTTPError as error:
            raise unreachable(self._client.base_url, error) from error

    def _answer(self, request: Any) -> dict[str, Any]:
        response = self._send(request)
        check(response)
        try:
            found: dict[str, Any] = response.json()
        except ValueError as error:
            raise RunnerError(
                f"What answers at {self._client.base_url} is not mistralrs.\nCheck the address."
            ) from error
        return found

    def _stream(self, body: dict[str, Any]) -> Chunks:
        response = self._send(self._request("/v1/chat/completions", body), stream=True)
        if response.is_error:
            response.read()
            check(response)
        found = Chunks(with_usage_last(events(response)), lambda: hang_up(response))
        self._streams.add(found)
        return found


def hang_up(response: Any) -> None:
    """Close a stream that another thread may be reading: closing its socket alone would not wake the reader."""
    stream = response.extensions.get("network_stream")
    connection = None if stream is None else stream.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):  # closed by the server already
            connection.shutdown(socket.SHUT_RDWR)
    response.close()


def running() -> EngineRecord:
    """The one engine of this user that runs. Raises ``RunnerError`` where it is not one."""
    from ..attach import engines

    found = [record for record, said in engines() if said is not None]
    if len({record.process for record in found}) == 1:  # a server has a record for each of its models
        return found[0]
    if not found:
        raise RunnerError("No engine runs.\nStart one: mistralrs run --keep 10m -m MODEL, or mistralrs serve.")
    models = ", ".join(record.model for record in found)
    raise RunnerError(f"{len(found)} engines run: {models}.\nEnd all but one with mistralrs stop, or give an address.")


def record_of(process: int, model: str) -> EngineRecord:
    """The record of one of a server's models. Raises ``RequestError`` for a model that it has not."""
    from ..attach import engines

    found = [record for record, _ in engines() if record.process == process]
    for record in found:
        if model in (record.model, "default"):
            return record
    known = ", ".join(record.model for record in found)
    raise RequestError(f"There is no model {model}; this engine has {known}.\nName one of them.")


def as_plain(messages: Any, *, local: bool = False) -> Any:
    """Messages as JSON; files that they name are read here where the engine is ``local``."""
    return (
        [plain(turn, index, local=local) for index, turn in enumerate(messages)]
        if isinstance(messages, list)
        else messages
    )


def plain(message: dict[str, Any], index: int, *, local: bool = False) -> dict[str, Any]:
    """A message as JSON: values that only a program can hold become base64."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    found: list[Any] = []
    for position, item in enumerate(content):
        part: Part | None = read_part(item, f"messages[{index}].content[{position}]")
        held = isinstance(part, (MediaBytes, DecodedMedia)) or (
            isinstance(part, MediaRef) and (not isinstance(item, dict) or "url" not in item)
        )
        found.append(as_json(part) if part is not None and held else with_bytes(item) if local else item)
    return {**message, "content": found}


def with_bytes(item: Any) -> Any:
    """A part that names a file of this program, with the file's bytes as a data URL."""
    key = next((f"{kind}_url" for kind in MODALITIES if isinstance(item, dict) and f"{kind}_url" in item), None)
    if key is None:
        return item
    value = item[key]
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or len(url) > LONGEST_PATH:
        return item
    path, pages = url, None
    if not Path(url).expanduser().is_file():
        path, pages = split_pages(url)
    if not Path(path).expanduser().is_file():
        return item
    rest = value if isinstance(value, dict) else {}
    data = base64.b64encode(Path(path).expanduser().read_bytes()).decode()
    return {**item, key: {**rest, "url": f"data:;base64,{data}{f'#page={pages}' if pages else ''}"}}


def events(response: Any) -> Iterator[dict[str, Any]]:
    """The objects of a stream of server-sent events. Raises what the server says went wrong."""
    import httpx

    try:
        for line in response.iter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            item: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if "error" in item:
                raise RunnerError(str(item["error"].get("message", item["error"])))
            yield item
    except httpx.HTTPError as error:
        raise RunnerError(
            "The answer broke off: the server has left, or was silent for too long.\nTry again."
        ) from error


def with_usage_last(items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """OpenAI sends the usage in a chunk of its own, without choices: here it comes with the last one that has some."""
    held: dict[str, Any] | None = None
    for item in items:
        if not item["choices"] and held is not None:
            held = {**held, "usage": item.get("usage")}
            continue
        if held is not None:
            yield held
        held = item
    if held is not None:
        yield held


def check(response: Any) -> None:
    """Raise what the server says is wrong."""
    if not response.is_error:
        return
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        message = response.text[:200]
    raise (RequestError if response.status_code < 500 else RunnerError)(message)


def unreachable(address: object, error: Exception) -> RunnerError:
    """The error for a server that does not answer."""
    import httpx

    match error:
        case httpx.ConnectError():
            what = f"Nothing answers at {address}"
        case httpx.TimeoutException():
            what = f"{address} does not answer"
        case _:
            what = f"The connection to {address} broke off"
    return RunnerError(f"{what}.\nCheck the address, and that the server is up: mistralrs serve")
