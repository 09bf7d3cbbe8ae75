"""One exchange for all interfaces: failures leave nothing behind, and neither HTTP nor a local engine is needed."""

import asyncio
import contextlib
import gc
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import MediaForbidden, OptionError
from mistralrs_cli.messages import MediaBytes
from mistralrs_cli.options import ServerOptions
from mistralrs_cli.protocol import sampling
from mistralrs_cli.server.app import INTERFACES
from mistralrs_cli.server.backend import AnswerStream, Backend
from mistralrs_cli.server.caller import Caller
from mistralrs_cli.server.exchange import Interface, ResponseFormat
from mistralrs_cli.server.interfaces.chat import CHAT
from mistralrs_cli.server.interfaces.schemas import ChatRequest
from mistralrs_cli.server.interfaces.transcription_form import TranscriptionRequest
from mistralrs_cli.server.interfaces.transcriptions import TRANSCRIPTIONS
from mistralrs_cli.server.response_streams import ResponseStreams
from mistralrs_cli.server.service import Service

from .conftest import Running, serving
from .test_chat import RED, is_red_circle, picture, until

HI: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": "hi"},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": "hi", "max_tokens": 3},
}
"""A body for every interface that takes JSON."""


def test_there_is_a_body_for_every_interface() -> None:
    assert HI.keys() == INTERFACES.keys()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/completions", {"prompt": [1, 2, 999_999], "echo": True}),
        ("/v1/completions", {"prompt": [[1], [999_999]], "n": 2, "echo": True}),
        ("/v1/completions", {"prompt": []}),
        ("/v1/completions", {"best_of": 3}),
        ("/v1/chat/completions", {"messages": [{"role": "nobody"}]}),
        ("/v1/chat/completions", {"n": 32, "messages": []}),
        ("/v1/responses", {"input": [{"type": "nothing"}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "nothing"}]}]}),
        *((path, {"temperature": -1}) for path in HI),
    ],
)
def test_a_request_that_fails_leaves_no_coroutine_behind(
    server: Running, path: str, fields: dict[str, Any], stream: bool
) -> None:
    """Warnings are errors, that of a coroutine which was never awaited among them."""
    assert server.post(path, **HI[path] | fields | {"stream": stream}).status_code == 400
    gc.collect()


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("fields", [{"temperature": "-1"}, {"temperature": "warm"}, {"response_format": "docx"}])
def test_a_transcription_that_fails_leaves_no_coroutine_behind(
    server: Running, samples: Path, fields: dict[str, str], stream: str
) -> None:
    with (samples / "digits.wav").open("rb") as file:
        url, data = f"{server.url}/v1/audio/transcriptions", {"stream": stream} | fields
        assert httpx.post(url, files={"file": file}, data=data).status_code == 400
    gc.collect()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("interface", [*INTERFACES.values(), TRANSCRIPTIONS], ids=lambda interface: interface.name)
def test_a_response_that_cannot_be_written_gives_everything_back(
    server: Running, engine: Engine, interface: Interface[Any], stream: bool, samples: Path
) -> None:
    """Between the beginning of the answers and the first byte of a response."""
    from mistralrs_cli.server.exchange import exchange

    def fails(body: Any, model: str, streams: ResponseStreams) -> ResponseFormat:
        raise OptionError("no")

    class Read:
        """Stands in for a body that was read."""

        @classmethod
        async def from_request(cls, *_: object) -> Any:
            return bodies[interface.name]

    path = next((path for path, one in INTERFACES.items() if one is interface), "")
    audio = MediaBytes("audio", "a.wav", data=(samples / "digits.wav").read_bytes())
    form = TranscriptionRequest(audio, stream=stream, sampling=sampling())
    json_body = None if not path else interface.body(**HI[path] | {"stream": stream})
    bodies = {interface.name: json_body or form}
    broken: Any = Interface(interface.name, Read, interface.to_request, fails, interface.count)
    service = Service(ServerOptions(), "demo", 8)
    service.backend = engine

    async def stays() -> Any:
        await asyncio.sleep(60)

    async def run() -> None:
        from starlette.requests import Request

        request = Request({"type": "http", "headers": [], "state": {}}, stays)
        with pytest.raises(OptionError, match="no"):
            await exchange(request, service, broken)

    asyncio.run(run())
    assert (service.concurrency.in_flight, service.active, service.media_memory.held) == (0, set(), 0)
    until(lambda: engine.running + engine.waiting == 0)


def test_answers_that_begin_after_their_client_has_left_end(
    server: Running, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where what they waited for does not notice that they are cancelled."""
    from starlette.requests import Request

    from mistralrs_cli.server.exchange import exchange
    from mistralrs_cli.server.http.sse import ClientDisconnected

    service = Service(ServerOptions(), "demo", 8)
    service.backend = engine
    begin, left = service.begin, asyncio.Event()

    async def unaware(*given: Any, **named: Any) -> ResponseStreams:
        streams = await begin(*given, **named)
        left.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return streams

    class Read:
        @classmethod
        async def from_request(cls, *_: object) -> Any:
            return ChatRequest.model_validate({"messages": "hi", "n": 2, "stream": True})

    async def leaves() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        request = Request({"type": "http", "headers": [], "state": {}}, leaves)
        broken: Any = Interface("chat", Read, CHAT.to_request, CHAT.response, CHAT.count)
        with pytest.raises(ClientDisconnected):
            await exchange(request, service, broken)

    monkeypatch.setattr(service, "begin", unaware)
    asyncio.run(run())
    assert (service.concurrency.in_flight, service.active, service.media_memory.held) == (0, set(), 0)
    until(lambda: engine.running + engine.waiting == 0)


def test_a_request_needs_no_http(engine: Engine, server: Running, samples: Path) -> None:
    """As a batch job asks: a body, and nobody who is connected."""
    fields = {"messages": picture(str(samples / RED)), "max_tokens": 20, "temperature": 0}
    service = Service(ServerOptions(), "demo", 8)
    service.backend = engine
    body = ChatRequest(**fields)
    caller = Caller((str(samples),))

    async def run() -> Any:
        streams = await service.begin(partial(CHAT.to_request, body, service.default), caller)
        return CHAT.response(body, service.name, streams).whole(await streams.all_events())

    found = asyncio.run(run())
    assert is_red_circle(found["choices"][0]["message"]["content"])
    assert found["choices"] == server.chat(**fields).json()["choices"]
    assert caller.log_fields["images"] == 1
    assert caller.log_fields["finish"] == "stop"
    assert (service.concurrency.in_flight, service.active) == (0, set())


def test_files_outside_the_callers_folders_are_refused(engine: Engine, samples: Path) -> None:
    service = Service(ServerOptions(), "demo", 8)
    service.backend = engine
    body = ChatRequest.model_validate({"messages": picture(str(samples / RED))})
    with pytest.raises(MediaForbidden):
        asyncio.run(service.begin(partial(CHAT.to_request, body, service.default), Caller()))
    assert service.concurrency.in_flight == 0


class Only:
    """Has the members of a protocol, and no others of what is behind it."""

    def __init__(self, behind: Any, protocol: type) -> None:
        self._behind = behind
        self._names = {name for name in vars(protocol) if not name.startswith("_")}

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AssertionError(f"{name} is not in the protocol")
        found = getattr(self._behind, name)
        if name in ("stream", "continue_text"):
            return lambda *given: Only(found(*given), AnswerStream)
        return found


def test_another_backend_serves_as_well(engine: Engine, samples: Path) -> None:
    """The server asks nothing of a model that is not in its protocol."""
    backend: Any = Only(engine, Backend)
    with serving(backend, ServerOptions(port=0)) as running:
        messages = picture(str(samples / RED))
        whole = running.chat(messages=messages, max_tokens=20, temperature=0)
        assert is_red_circle(whole.json()["choices"][0]["message"]["content"])
        for path, body in HI.items():
            streamed = running.post(path, **body | {"stream": True, "max_tokens": 3} if "input" not in body else body)
            assert streamed.status_code == 200, streamed.text
        with (samples / "digits.wav").open("rb") as file:
            heard = httpx.post(f"{running.url}/v1/audio/transcriptions", files={"file": file})
        assert heard.json()["text"] == "three seven one"
        tokens = running.post("/tokenize", prompt="a red circle").json()["tokens"]
        assert running.post("/detokenize", tokens=tokens, skip_special_tokens=True).json()["prompt"] == "a red circle"
        assert running.post("/tokenize", messages=messages).json()["count"] > 63
        assert running.post("/v1/messages/count_tokens", messages="hi").json()["input_tokens"] > 0
        model = httpx.get(f"{running.url}/v1/models/demo").json()
        assert (model["status"], model["max_model_len"]) == ("loaded", 8192)
        assert 'mistralrs_running_sequences{model="demo"} 0.0' in httpx.get(f"{running.url}/metrics").text
        assert [httpx.get(f"{running.url}/{path}").status_code for path in ("health", "ready")] == [200, 200]
        assert json.loads(json.dumps(running.lines[0]))["status"] == 200
