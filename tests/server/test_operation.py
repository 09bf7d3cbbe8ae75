"""What whoever runs the server needs: where it listens, how it ends, what it logs, what it says is not there."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from mistralrs_cli.errors import MediaTooLarge, OptionError
from mistralrs_cli.messages import MediaRef
from mistralrs_cli.options import ServerOptions
from mistralrs_cli.server.http.auth import may_name_files
from mistralrs_cli.server.limits.threads import MediaThreads
from mistralrs_cli.server.process import check_certificate, listen

from .conftest import Running, Start

ASK = "What can you do?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/m"),
        ("X-Real-IP", "1.2.3.4"),
        ("CF-Connecting-IP", "1.2.3.4"),
        ("True-Client-IP", "1.2.3.4"),
        ("Forwarded", "for=1.2.3.4"),
        ("Via", "1.1 proxy"),
        ("Referer", "https://example.com/page"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ],
)
def test_what_came_through_anything_names_no_files(name: str, value: str) -> None:
    options = ServerOptions()
    direct = {"host": "127.0.0.1:1234"}
    assert may_name_files(Headers(direct), options)
    assert may_name_files(Headers(direct | {"referer": "http://localhost:1234/docs"}), options)
    assert not may_name_files(Headers(direct | {name.lower(): value}), options)
    assert not may_name_files(Headers(direct), options, "1.0")


def test_local_files_can_be_closed_to_all(start: Start, samples: Path) -> None:
    closed = start(local_files=False)
    part = {"type": "image_url", "image_url": {"url": str(samples / "red_circle.png")}}
    answer = closed.chat(messages=[{"role": "user", "content": [part]}])
    assert answer.status_code == 403


def raw(running: Running, text: str) -> str:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


def test_http_1_0_counts_as_from_elsewhere(server: Running, samples: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": str(samples / "red_circle.png")}}
    body = json.dumps({"messages": [{"role": "user", "content": [part]}]})
    head = "POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    assert " 403 " in raw(server, head + body).partition("\r\n")[0]


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        ("GET /health HTTP/1.1\r\nHost: x\r\n" + "A: 1\r\n" * 20_000 + "\r\n", 431, "header_too_large"),
        (f"GET /{'a' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "path_too_long"),
        ("NO HTTP\r\n\r\n", 400, None),
        ("GET /health HTTP/1.1\r\n\r\n", 400, None),
        (
            "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            None,
        ),
    ],
)
def test_what_is_no_proper_request_is_refused_in_the_usual_form(
    server: Running, request_text: str, status: int, code: str | None
) -> None:
    head, _, body = raw(server, request_text).partition("\r\n\r\n")
    assert f" {status} " in head.partition("\r\n")[0]
    error = json.loads(body)["error"]
    assert error["message"]
    assert error["code"] == code


def test_an_absolute_target_is_the_path_behind_it(server: Running) -> None:
    text = "GET http://127.0.0.1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert raw(server, text).startswith("HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/models"])
def test_head_answers_as_get_without_a_body(server: Running, path: str) -> None:
    answer = httpx.head(server.url + path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/embeddings", "Embeddings"),
        ("/api/chat", "Ollama"),
        ("/chat/completions", "ends in /v1"),
        ("/v1/nothing", "/v1/nothing"),
    ],
)
def test_what_is_not_there_is_said(server: Running, path: str, said: str) -> None:
    answer = server.post(path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert said in error["message"]
    assert "/docs" in error["message"]
    assert error["code"] == "unknown_url"


def test_a_wrong_method_is_told_the_right_one(server: Running) -> None:
    answer = httpx.get(server.url + "/v1/chat/completions")
    assert answer.status_code == 405
    assert "POST" in answer.json()["error"]["message"]


def test_a_packed_body_is_not_said_to_be_broken(server: Running) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = httpx.post(server.url + "/tokenize", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415
    assert "gzip" in answer.json()["error"]["message"]


def test_the_reference_works_behind_a_prefix_and_with_keys(start: Start) -> None:
    behind = start(root_path="/m", api_keys=("secret",))
    for prefix in ("", "/m"):  # a proxy may take its prefix off, or leave it
        assert "/m/openapi.json" in httpx.get(f"{behind.url}{prefix}/docs").text
        document = httpx.get(f"{behind.url}{prefix}/openapi.json").json()
        assert document["servers"] == [{"url": "/m"}]
        models = httpx.get(f"{behind.url}{prefix}/v1/models", headers={"Authorization": "Bearer secret"})
        assert models.status_code == 200
        assert httpx.get(f"{behind.url}{prefix}/v1/models").status_code == 401
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["security"]
    assert set(chat["responses"]) >= {"200", "400", "401", "429", "503"}
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert "422" not in json.dumps(document["paths"])


def test_a_unix_socket_is_for_its_user_alone(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = listen(ServerOptions(uds=path))
    try:
        assert Path(path).stat().st_mode & 0o777 == 0o600
        with pytest.raises(OptionError, match="in use"):
            listen(ServerOptions(uds=path))
    finally:
        listener.close()
    listen(ServerOptions(uds=path)).close()  # nothing listens any more: it is replaced
    with pytest.raises(OptionError, match="no such folder"):
        listen(ServerOptions(uds=str(tmp_path / "none" / "s")))


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of its own and its key."""
    files = str(folder / "cert.pem"), str(folder / "key.pem")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https(start: Start, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    check_certificate(ServerOptions(certificate=public, private_key=private))
    with pytest.raises(OptionError, match="not a certificate"):
        check_certificate(ServerOptions(certificate=private, private_key=public))
    with pytest.raises(OptionError, match="no file"):
        check_certificate(ServerOptions(certificate=str(tmp_path / "none")))
    with pytest.raises(OptionError, match="--ssl-certfile"):
        check_certificate(ServerOptions(private_key=private))
    secure = start(certificate=public, private_key=private, ready=False)
    trusted = ssl.create_default_context(cafile=public)
    deadline = time.monotonic() + 20
    while httpx.get(f"https://127.0.0.1:{secure.port}/ready", verify=trusted).status_code != 200:
        assert time.monotonic() < deadline


def logged(server: Running, answer: httpx.Response) -> dict[str, object]:
    """The line of the log about a request, which comes a moment after its answer."""
    for _ in range(500):
        for line in server.lines:
            if line["request"] == answer.headers["x-request-id"]:
                return line
        time.sleep(0.01)
    raise AssertionError("no line")


def test_the_log_tells_how_an_answer_went(server: Running, samples: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": str(samples / "red_circle.png")}}
    text = {"type": "text", "text": "What is this?"}
    answer = server.chat(messages=[{"role": "user", "content": [part, text]}], max_tokens=2)
    facts = logged(server, answer)
    assert answer.json()["choices"][0]["finish_reason"] == facts["finish"] == "length"
    assert (facts["images"], facts["completion_tokens"], facts["client"]) == (1, 2, "127.0.0.1")
    assert 0 < float(str(facts["first_token"])) <= float(str(facts["seconds"]))
    missing = server.chat(messages=[{"role": "user", "content": [part | {"image_url": {"url": "/none.png"}}]}])
    assert logged(server, missing)["error"] == "media_not_found"


def test_shutting_down_lets_running_answers_end_and_takes_no_more(start: Start) -> None:
    ending = start(grace_seconds=20.0)
    done: list[httpx.Response] = []
    fields = {"max_tokens": 60, "ignore_eos": True, "temperature": 0}
    asking = threading.Thread(target=lambda: done.append(ending.chat(messages=ASK, **fields)))
    asking.start()
    while not ending.service.active:
        time.sleep(0.005)
    ending.server.should_exit = True
    while not ending.service.draining:
        time.sleep(0.005)
    late = ending.chat(messages=ASK)
    ready, health = (httpx.get(f"{ending.url}/{name}") for name in ("ready", "health"))
    asking.join(60)
    assert done[0].status_code == 200
    assert done[0].json()["usage"]["completion_tokens"] == 60
    assert (late.status_code, ready.status_code, health.status_code) == (503, 503, 200)
    assert int(late.headers["retry-after"]) > 0


def test_answers_that_outlast_the_grace_end_with_503(start: Start) -> None:
    ending = start(grace_seconds=0.0)
    done: list[httpx.Response] = []
    fields = {"max_tokens": 400, "ignore_eos": True, "temperature": 0}
    asking = threading.Thread(target=lambda: done.append(ending.chat(messages=ASK, **fields)))
    asking.start()
    while not ending.service.active:
        time.sleep(0.005)
    ending.server.should_exit = True
    asking.join(60)
    assert done[0].status_code == 503
    assert "retry-after" in done[0].headers


def test_a_medium_that_is_not_read_in_time_is_given_up(tmp_path: Path) -> None:
    held = threading.Event()

    async def given_up() -> tuple[int, int]:
        pool = MediaThreads(2, "test", seconds=0.05)
        with pytest.raises(MediaTooLarge, match="longer than"):
            await pool.run(MediaRef("image", "photo.jpg"), lambda: held.wait(20))
        stuck = pool.stuck
        held.set()
        for _ in range(200):
            if not pool.stuck:
                break
            await asyncio.sleep(0.01)
        pool.close()
        return stuck, pool.stuck

    assert asyncio.run(given_up()) == (1, 0)


def test_a_fifo_holds_up_nobody(server: Running, tmp_path: Path) -> None:
    pipe = tmp_path / "f.png"
    os.mkfifo(pipe)
    part = {"type": "image_url", "image_url": {"url": str(pipe)}}
    for _ in range(6):
        answer = server.chat(messages=[{"role": "user", "content": [part]}])
        assert answer.status_code == 403
    assert server.chat(messages=ASK, max_tokens=1).status_code == 200
    assert "mistralrs_media_stuck_threads 0.0" in httpx.get(server.url + "/metrics").text


def test_tools_and_calls_are_bounded_before_they_are_read(server: Running) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    many = [tool | {"function": tool["function"] | {"name": f"f{number}"}} for number in range(2000)]  # type: ignore[operator]
    begun = time.monotonic()
    answer = server.chat(messages=ASK, tools=many)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools")
    long = tool | {"function": tool["function"] | {"description": "x" * 3_000_000}}  # type: ignore[operator]
    assert server.chat(messages=ASK, tools=[long]).json()["error"]["code"] == "context_length_exceeded"
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = server.chat(
        messages=[{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call] * 20_000}]
    )
    assert answer.status_code == 400
    assert time.monotonic() - begun < 30
