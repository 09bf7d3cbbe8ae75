"""Memory for media is shared out before it is used, and comes back whatever happens."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import MistralrsError, OptionError, Overloaded
from mistralrs_cli.media import VideoSampling
from mistralrs_cli.messages import MediaBytes, Message
from mistralrs_cli.options import ServerOptions
from mistralrs_cli.server import media
from mistralrs_cli.server.caller import Caller
from mistralrs_cli.server.http.middleware import SMALL
from mistralrs_cli.server.limits import memory as room
from mistralrs_cli.server.limits.memory import MemoryBudget, Reservation
from tests.media.pdf import document

from .conftest import Running, Start
from .test_chat import LONG, RED, until
from .test_security import JSON, outcome


def test_who_comes_first_is_let_in_first() -> None:
    order: list[str] = []

    async def take(name: str, share: Reservation, count: int) -> None:
        await share.take(count)
        order.append(name)

    async def queue() -> None:
        place = MemoryBudget(lambda: 100)
        one, two, three = (Reservation(place) for _ in range(3))
        await one.take(60)
        assert place.free == 40
        large = asyncio.ensure_future(take("large", two, 50))
        small = asyncio.ensure_future(take("small", three, 10))
        await asyncio.sleep(0)
        assert (order, place.held, place.free) == ([], 60, 0), "a small one does not overtake"
        one.resize(50)
        await large
        assert (order, place.held) == (["large"], 100)
        one.release()
        await small
        assert (order, place.held) == (["large", "small"], 60)

    asyncio.run(queue())


def test_pages_of_documents_count_beside_other_images() -> None:
    """The limit is on what the model is given, in whichever order it stands."""
    data = document(3)
    pages, single = MediaBytes("image", "a.pdf", data), MediaBytes("image", "b.pdf", document(1), place="messages[0]")

    async def load(parts: tuple[MediaBytes, ...], images: int) -> int:
        budget = MemoryBudget(lambda: 2**30)
        loader = media.MediaLoader(ServerOptions(images=images), 1, budget)
        info: Any = SimpleNamespace(name="M", modalities=("image",), audio_rate=16_000, video_sampling=VideoSampling())
        try:
            asked = (Message("user", parts),)
            found = await loader.load(asked, Caller(), info, Reservation(budget), lambda seconds: None)
        finally:
            loader.close()
        return len(found[0].media)

    assert asyncio.run(load((pages, single), 4)) == 4
    for parts in ((pages, single), (single, pages)):
        with pytest.raises(OptionError, match="the request has 4 images, but this server takes 3"):
            asyncio.run(load(parts, 3))


def test_one_alone_is_let_in_whatever_it_takes() -> None:
    async def alone() -> None:
        place = MemoryBudget(lambda: 100)
        one, two = Reservation(place), Reservation(place)
        await one.take(500)
        await one.take(500)
        waiting = asyncio.ensure_future(two.take(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        one.release()
        one.release()
        await waiting
        assert place.held == 1

    asyncio.run(alone())


def test_who_holds_something_goes_on_before_who_holds_nothing() -> None:
    async def hold() -> None:
        place = MemoryBudget(lambda: 100)
        one, two, fresh = (Reservation(place) for _ in range(3))
        await one.take(50)
        await two.take(30)
        first = asyncio.ensure_future(fresh.take(30))
        await asyncio.sleep(0)
        later = asyncio.ensure_future(two.take(40))
        await asyncio.sleep(0)
        one.resize(20)
        await later
        assert not first.done()
        two.release()
        await first
        assert place.held == 50

    asyncio.run(hold())


def test_who_leaves_as_its_turn_comes_is_cancelled_all_the_same() -> None:
    """Else a request whose client has left would go on, and nothing would ever read its answer."""

    async def leave() -> None:
        place = MemoryBudget(lambda: 100)
        one, two = Reservation(place), Reservation(place)
        await one.take(100)
        waiting = asyncio.ensure_future(two.take(50))
        await asyncio.sleep(0)
        one.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        two.release()
        assert place.held == 0

    asyncio.run(leave())


def test_waiting_has_an_end_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait() -> None:
        place = MemoryBudget(lambda: 100)
        one, two, three = (Reservation(place) for _ in range(3))
        await one.take(90)
        gone = asyncio.ensure_future(two.take(50))
        after = asyncio.ensure_future(three.take(10))
        await asyncio.sleep(0)
        gone.cancel()
        await after
        assert place.held == 100
        monkeypatch.setattr(room, "PATIENCE", 0.05)
        with pytest.raises(Overloaded) as refused:
            await two.take(1)
        assert refused.value.retry_after >= 1
        one.release()
        three.release()
        assert (place.held, place.free) == (0, 100)

    asyncio.run(wait())


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Decoding waits until it is set."""
    opened = threading.Event()
    decode = media.decode_medium

    def slowly(*args: Any) -> Any:
        opened.wait(20)
        return decode(*args)

    monkeypatch.setattr(media, "decode_medium", slowly)
    yield opened
    opened.set()


def about(source: str, **fields: Any) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": source}
    return {"messages": [{"role": "user", "content": [part]}], "max_tokens": 2, "ignore_eos": True} | fields


def test_media_that_do_not_fit_beside_others_wait_and_are_then_refused(
    start: Start, engine: Engine, samples: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "media_bytes", 1)
    monkeypatch.setattr(room, "PATIENCE", 0.2)
    server = start()
    answers: list[httpx.Response] = []
    body = about(str(samples / RED))
    first = threading.Thread(target=lambda: answers.append(server.chat(**body)))
    first.start()
    until(lambda: server.service.media_memory.held > 0)
    refused = server.chat(**body)
    assert outcome(refused) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    assert server.chat(messages="hi", max_tokens=1).status_code == 200, "words are let in"
    monkeypatch.setattr(room, "PATIENCE", 20.0)
    second = threading.Thread(target=lambda: answers.append(server.chat(**body)))
    second.start()
    gate.set()
    first.join()
    second.join()
    assert [answer.status_code for answer in answers] == [200, 200], "the one that waited is answered, too"
    assert server.service.media_memory.held == 0


def test_who_leaves_while_media_are_decoded_gives_the_memory_back(
    start: Start, samples: Path, gate: threading.Event
) -> None:
    server = start()
    body = json.dumps(about(str(samples / RED))).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: server.service.media_memory.held > 0)
    until(lambda: server.service.media_memory.held == 0, 5)
    assert server.service.concurrency.in_flight == 0


def test_memory_is_given_back_once_the_model_has_read(server: Running, samples: Path, engine: Engine) -> None:
    body = about(str(samples / RED)) | LONG | {"stream": True, "messages": about(str(samples / RED))["messages"]}
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        while "content" not in next(lines):
            continue
        until(lambda: engine.running == 1)
        until(lambda: server.service.media_memory.held == 0, 5)
        until(lambda: engine.running == 1)  # it goes on
    until(lambda: engine.running == 0)


def test_memory_is_given_back_whatever_happens(
    server: Running, samples: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    stream = engine.stream

    def noting(*args: Any) -> Any:
        held.append(server.service.media_memory.held)
        return stream(*args)

    monkeypatch.setattr(engine, "stream", noting)
    red = str(samples / RED)
    assert server.chat(**about(red, n=3)).status_code == 200
    with Image.open(red) as picture:
        assert held == [3 * picture.width * picture.height * 3] * 3, "bytes of a pixel, choices"
    assert server.chat(**about(red, stream=True)).status_code == 200
    assert server.chat(**about(red, temperature=-1)).status_code == 400
    assert server.chat(**about("data:image/png;base64,AAAA")).status_code == 400
    assert server.post("/tokenize", messages=about(red)["messages"]).status_code == 200

    def failing(*args: Any) -> Any:
        raise MistralrsError("the ground opened")

    monkeypatch.setattr(engine._scheduler, "_prefill", failing)
    assert server.chat(**about(red)).status_code >= 400
    monkeypatch.setattr(engine, "stream", failing)
    assert server.chat(**about(red)).status_code >= 400
    until(lambda: server.service.media_memory.held == 0, 5)


def test_bodies_that_do_not_fit_beside_others_wait_and_are_then_refused(
    start: Start, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 200_000
    server = start(body=size)
    bodies = server.service.body_memory
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: application/json\r\n"
    begun = f"{head}Content-Length: {size}\r\n\r\n".encode() + b" " * (size - 1)
    long = json.dumps({"messages": "hi", "max_tokens": 1}).encode() + b" " * (size - 200)

    def ask() -> httpx.Response:
        return httpx.post(f"{server.url}/v1/chat/completions", content=long, headers=JSON, timeout=60)

    with contextlib.ExitStack() as clients:
        for _ in range(5):
            one = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(begun)
        until(lambda: bodies.held == 5 * (size - 1 - SMALL))
        monkeypatch.setattr(room, "PATIENCE", 0.2)
        refused = ask()
        assert outcome(refused) == (429, "rate_limit_exceeded")
        assert "bodies" in refused.json()["message"]
        assert server.chat(messages="hi", max_tokens=1).status_code == 200, "short ones are let in"
    until(lambda: bodies.held == 0, 5)
    assert ask().status_code == 200
    assert server.chat(**about(str(samples / RED))).status_code == 200
    assert bodies.held == 0
