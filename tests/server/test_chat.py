"""``/v1/chat/completions`` with the real client, as the documents use it."""

import asyncio
import base64
import http.server
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import EngineDown
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling, ServerOptions
from mistralrs_cli.server.caller import Caller
from mistralrs_cli.server.exchange import chunks
from mistralrs_cli.server.generation_request import GenerationRequest
from mistralrs_cli.server.http import sse as streaming
from mistralrs_cli.server.http.sse import EventStreamResponse
from mistralrs_cli.server.interfaces.chat import ChatCompletion
from mistralrs_cli.server.interfaces.schemas import ChatRequest
from mistralrs_cli.server.service import Service

from .conftest import Running, serving

RED = "red_circle.png"
LONG = {"messages": "Go on.", "max_tokens": 4000, "ignore_eos": True, "temperature": 0.0}


def picture(url: object, text: str = "What is in this picture?") -> Any:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": url}, {"type": "text", "text": text}]}]


def ask(client: openai.OpenAI, messages: Any, **fields: Any) -> str:
    done = client.chat.completions.create(model="default", messages=messages, **fields)
    return done.choices[0].message.content or ""


def until(condition: Any, seconds: float = 20.0) -> float:
    """Seconds until something is so."""
    begun = time.perf_counter()
    while not condition():
        assert time.perf_counter() < begun + seconds, "it never happened"
        time.sleep(0.002)
    return time.perf_counter() - begun


def is_red_circle(answer: str) -> bool:
    return "red" in answer.lower() and "circle" in answer.lower()


@pytest.fixture
def web(samples: Path) -> Iterator[str]:
    """The sample media on a web server of loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(samples))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_form_of_a_picture(client: openai.OpenAI, in_samples: Path) -> None:
    file = in_samples / RED
    data = base64.b64encode(file.read_bytes()).decode()
    for url in (
        {"url": file.as_uri()},
        {"url": str(file)},
        {"url": RED},
        RED,
        {"url": f"data:image/png;base64,{data}"},
        {"url": f"data:application/octet-stream;base64,{data}"},
        {"url": data},
        {"url": RED, "detail": "auto"},
    ):
        answer = ask(client, picture(url), max_tokens=20, temperature=0)
        assert is_red_circle(answer), (str(url)[:60], answer)


def test_a_sound_by_address_and_by_its_bytes(client: openai.OpenAI, samples: Path) -> None:
    file = samples / "beeps.wav"
    data = base64.b64encode(file.read_bytes()).decode()
    for part in (
        {"type": "audio_url", "audio_url": {"url": file.as_uri()}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{data}"}},
    ):
        text = {"type": "text", "text": "How many beeps do you hear?"}
        answer = ask(client, [{"role": "user", "content": [part, text]}], max_tokens=20, temperature=0)
        assert "three" in answer.lower() or "3" in answer


def test_the_documents_snippet_about_video(client: openai.OpenAI, in_samples: Path) -> None:
    completion = client.chat.completions.create(
        model="default",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "video_url", "video_url": {"url": "clip.mp4"}},  # type: ignore[list-item, misc]
                    {"type": "text", "text": "What happens in this video?"},
                ],
            }
        ],
        max_tokens=256,
    )
    assert "square" in (completion.choices[0].message.content or "").lower()
    assert completion.usage is not None
    details: Any = completion.usage.prompt_tokens_details
    assert details.video_tokens == 2016


def test_a_clip_can_be_sampled_otherwise(server: Running, in_samples: Path) -> None:
    clip = {"type": "video_url", "video_url": {"url": "clip.mp4", "num_frames": 4, "start": 0.2, "end": 1.8}}
    answer = server.chat(messages=[{"role": "user", "content": [clip]}], max_tokens=5).json()
    assert answer["usage"]["prompt_tokens_details"]["video_tokens"] == 4 * 63


def test_the_documents_snippet_with_penalties(client: openai.OpenAI, in_samples: Path) -> None:
    completion = client.chat.completions.create(
        model="default",
        messages=picture({"url": RED}, "What is shown in this image? Write a detailed response analyzing the scene."),
        max_tokens=256,
        frequency_penalty=1.0,
        top_p=0.1,
        temperature=0,
    )
    assert "red" in (completion.choices[0].message.content or "").lower()


def test_order_and_roles_of_parts_are_kept(server: Running, in_samples: Path) -> None:
    """Media under every role, in any order; the usage counts each kind."""
    image = {"type": "image_url", "image_url": RED}
    sound = {"type": "audio_url", "audio_url": "beeps.wav"}
    answer = server.chat(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Look."}, image]},
            {"role": "user", "content": [sound, {"type": "text", "text": "and"}, image, sound]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Go on."},
        ],
        max_tokens=3,
    ).json()
    details = answer["usage"]["prompt_tokens_details"]
    assert (details["image_tokens"], details["audio_tokens"]) == (2 * 63, 2 * 37)


def test_usage_tells_how_fast_it_was(engine: Engine) -> None:
    """Rates count what was read and written: no token that was in the cache, nor the first of the answer."""
    asked = {"messages": "How fast can you count to ten?", "max_tokens": 8, "temperature": 0, "ignore_eos": True}
    with Engine(engine.loaded, prefixes=2) as keeping, serving(keeping, ServerOptions(port=0)) as running:
        first, again = (running.chat(**asked).json()["usage"] for _ in range(2))
    assert first["prompt_tokens_details"]["cached_tokens"] == 0 < again["prompt_tokens_details"]["cached_tokens"]
    for used in first, again:
        assert used["completion_tokens"] == 8
        assert used["total_tokens"] == used["prompt_tokens"] + 8
        read = used["prompt_tokens"] - used["prompt_tokens_details"]["cached_tokens"]
        total, prompt, answer = (used[f"total_{of}time_sec"] for of in ("", "prompt_", "completion_"))
        assert total == pytest.approx(prompt + answer, abs=2e-4)  # each is rounded to 0.1 ms
        assert used["avg_compl_tok_per_sec"] == pytest.approx(7 / answer, rel=0.01)
        assert used["avg_tok_per_sec"] == pytest.approx((read + 8) / total, rel=0.01)
        assert used["avg_prompt_tok_per_sec"] >= 0.99 * read / prompt, (
            "reading is a part of the time to the first token"
        )


def test_a_stream_says_the_same_as_a_whole_answer(client: openai.OpenAI, samples: Path) -> None:
    messages = picture({"url": (samples / RED).as_uri()})
    whole = ask(client, messages, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model="default", messages=messages, temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len(chunks) > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_asynchronous_client(server: Running, samples: Path) -> None:
    async def both() -> tuple[str, str]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0) as client:
            messages = picture({"url": (samples / RED).as_uri()})
            stream = await client.chat.completions.create(model="default", messages=messages, stream=True)
            streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            done = await client.chat.completions.create(model="default", messages=messages)
            return streamed, done.choices[0].message.content or ""

    streamed, whole = asyncio.run(both())
    assert streamed == whole
    assert is_red_circle(whole)


def test_a_client_that_leaves_a_stream_frees_its_row(server: Running, engine: Engine) -> None:
    """Within 200 ms, the quickest of three times: a machine that does much else takes longer now and then."""

    def leave() -> float:
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=LONG | {"stream": True}) as response:
            lines = response.iter_lines()
            while "content" not in next(lines):
                continue
            until(lambda: engine.running == 1)
        return until(lambda: engine.running == 0)

    assert min(leave() for _ in range(3)) < 0.2
    until(lambda: server.service.concurrency.in_flight == 0)


def test_a_response_that_nobody_begins_to_read_frees_its_row() -> None:
    """A client may leave between the beginning of its answer and the first chunk."""
    closed: list[bool] = []

    async def events() -> AsyncGenerator[bytes]:
        yield b"never"

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    asyncio.run(EventStreamResponse(events(), lambda: closed.append(True))({}, receive, send))
    assert closed == [True]


def test_a_client_that_reads_nothing_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would keep its place for good."""
    monkeypatch.setattr(streaming, "STALLED", 0.05)
    closed: list[bool] = []

    async def events() -> AsyncGenerator[bytes]:
        while True:
            yield b"more"

    async def stays() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    asyncio.run(EventStreamResponse(events(), lambda: closed.append(True))({}, stays, send))
    assert closed == [True]


def test_what_nobody_expected_is_told_in_the_form_of_each_interface(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str | None) -> None:
        raise RuntimeError("a secret word")

    monkeypatch.setattr(server.service, "model", fails)
    told = server.chat(messages="hi")
    assert (told.status_code, told.json()["error"]["code"]) == (500, "internal_error")
    theirs = server.post("/v1/messages", messages="hi", max_tokens=1)
    assert (theirs.status_code, theirs.json()["error"]["type"]) == (500, "api_error")
    assert "secret" not in told.text + theirs.text


def disconnected(service: Service) -> float:
    """How many answers were given up, as /metrics says."""
    lines = service.metrics.text().decode().splitlines()
    name = 'mistralrs_answers_total{model="demo",outcome="disconnected"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def test_who_leaves_before_the_first_chunk_is_counted(engine: Engine) -> None:
    """Three answers that nobody has begun to read; the same three once more, while their question is being read."""
    service = Service(ServerOptions(), "demo", 8)
    service.backend = engine
    reading, go_on = threading.Event(), threading.Event()

    def to_request() -> GenerationRequest:
        sampling = Sampling(max_tokens=4000, ignore_eos=True)
        return GenerationRequest((Message("user", (Text("Go on."),)),), sampling=sampling, choices=3)

    def slowly() -> GenerationRequest:
        reading.set()
        go_on.wait(20)
        return to_request()

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def nowhere(message: Any) -> None:
        await asyncio.sleep(0)

    async def leave_twice() -> None:
        answers = await service.begin(to_request, Caller(), 3)
        assert disconnected(service) == 0
        said = chunks(ChatCompletion(ChatRequest.model_validate({"messages": "Go on."}), "demo", answers), answers)
        await EventStreamResponse(said, answers.close)({}, gone, nowhere)
        assert disconnected(service) == 3
        beginning = asyncio.ensure_future(service.begin(slowly, Caller(), 3))
        await asyncio.to_thread(reading.wait, 20)
        beginning.cancel()
        await asyncio.wait({beginning})
        go_on.set()
        assert disconnected(service) == 6
        assert service.concurrency.in_flight == 0
        assert service.active == set()

    asyncio.run(leave_twice())
    until(lambda: engine.running + engine.waiting == 0)


def test_a_client_that_leaves_before_a_whole_answer_frees_its_row(server: Running, engine: Engine) -> None:
    before = disconnected(server.service)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/chat/completions", json=LONG, timeout=httpx.Timeout(10, read=1.0))
    assert until(lambda: engine.running == 0) < 2  # its own end is far away
    until(lambda: server.service.concurrency.in_flight == 0)
    until(lambda: server.lines[-1]["status"] == 499, 5)
    assert "error" not in server.lines[-1]
    assert disconnected(server.service) == before + 1


def test_a_stream_that_fails_midway_says_so_and_ends(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from mistralrs_cli.engine.output_parser import OutputParser

    push = OutputParser.push
    count = 0

    def failing(self: OutputParser, token: int) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise RuntimeError("the ground opened")
        return push(self, token)

    monkeypatch.setattr(OutputParser, "push", failing)
    response = server.chat(messages="What can you do?", stream=True)
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert response.status_code == 200
    assert "the ground opened" in json.loads(events[-1])["error"]["message"]
    assert "[DONE]" not in events
    assert server.chat(messages="What can you do?", max_tokens=3).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ([{"type": "image_url", "image_url": {"url": "/no/such/file.png"}}], 404, "media_not_found"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], 400, "media_decode_error"),
        ([{"type": "input_audio", "input_audio": {"data": "!!", "format": "wav"}}], 400, "media_decode_error"),
        ([{"type": "image_url", "image_url": {"url": "ftp://host/a.png"}}], 403, "media_forbidden"),
        ([{"type": "image_url", "image_url": {"url": "file://host/a.png"}}], 403, "media_forbidden"),
        ([{"type": "image_url", "image_url": {"url": "-"}}], 403, "media_forbidden"),
        ([{"type": "image_url"}], 400, "option_error"),
        ([{"type": "hologram", "hologram": "x"}], 400, "option_error"),
        ([{"type": "image_url", "image_url": RED, "min_pixels": 3}], 400, "option_error"),
    ],
)
def test_a_bad_part_is_named_by_its_index(server: Running, content: list[Any], status: int, code: str) -> None:
    text = {"type": "text", "text": "hi"}
    response = server.chat(messages=[{"role": "user", "content": [text, *content]}])
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["param"].startswith("messages[0].content[1]")
    assert "messages[0].content[1]" in error["message"]
    assert response.json()["message"] == error["message"]


def test_the_client_raises_what_openai_would(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-5'"):
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError, match="temperature"):
        ask(client, [{"role": "user", "content": "hi"}], temperature=-1)
    with pytest.raises(openai.BadRequestError, match="guided_choice is not supported") as caught:
        ask(client, [{"role": "user", "content": "hi"}], extra_body={"guided_choice": ["a"]})
    assert caught.value.param == "guided_choice"


@pytest.mark.parametrize("model", ["default", "demo", None])
def test_the_model_answers_to_its_names(server: Running, model: str | None) -> None:
    assert server.chat(messages="hi", model=model, max_tokens=1).json()["model"] == "demo"


def test_models_and_readiness(client: openai.OpenAI, server: Running) -> None:
    (model,) = client.models.list()
    assert model.id == "demo"
    assert client.models.retrieve("demo").to_dict()["input_modalities"] == ["text", "image", "audio", "video"]
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok", "model": "demo"}
    assert httpx.get(f"{server.url}/ready").status_code == 200
    assert httpx.get(f"{server.url}/docs").status_code == 200
    assert httpx.get(f"{server.url}/nothing").json()["error"]["type"] == "invalid_request_error"
    assert httpx.get(f"{server.url}/v1/chat/completions").status_code == 405


def test_a_server_whose_engine_is_down_says_so(
    server: Running, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = EngineDown("The engine is down: the disk is gone", "Start it again.")
    monkeypatch.setattr(engine._scheduler, "failure", down)
    answers = [httpx.get(f"{server.url}{path}") for path in ("/health", "/ready")]
    answers.append(httpx.post(f"{server.url}/v1/chat/completions", json={"messages": "hello"}))
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all("the disk is gone" in answer.json()["message"] for answer in answers)
