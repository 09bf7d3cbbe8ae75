"""What a hostile page, client or web server cannot do."""

import contextlib
import hmac
import http.server
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from starlette.datastructures import Headers

from mistralrs_cli.engine import Engine
from mistralrs_cli.media import connections, decode, fetch
from mistralrs_cli.messages import MediaRef
from mistralrs_cli.options import MediaPolicy
from mistralrs_cli.server import media as server_media
from mistralrs_cli.server.http import auth as access
from mistralrs_cli.server.keys import Keyring
from mistralrs_cli.server.media import decoded_bytes
from mistralrs_cli.server.served_model import ServedModel

from .conftest import Running, Start
from .test_chat import LONG, RED, until

JSON = {"Content-Type": "application/json"}
ENDLESS = 64 * 2**20


def asking(url: str, kind: str = "image") -> dict[str, Any]:
    part = {"type": f"{kind}_url", f"{kind}_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [part]}], "max_tokens": 2}


def outcome(response: httpx.Response) -> tuple[int, str | None]:
    error = response.json().get("error") or {}
    return response.status_code, error.get("code")


class Hostile(http.server.BaseHTTPRequestHandler):
    """Redirects inwards, never ends, and notes who came."""

    hits: list[str]

    def do_GET(self) -> None:
        type(self).hits.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(ENDLESS // 2**16):
                self.wfile.write(b"\x89PNG" * 2**14)
        except OSError:
            type(self).hits.append("cut")

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hostile() -> Iterator[tuple[str, list[str]]]:
    Hostile.hits = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{web.server_port}", Hostile.hits
        web.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:1234"},
        {"X-Forwarded-For": "203.0.113.9"},
    ],
    ids=lambda headers: next(iter(headers.items()))[0],
)
def test_a_web_page_cannot_make_the_server_read_files(server: Running, samples: Path, headers: dict[str, str]) -> None:
    for url in (samples / RED).as_uri(), str(samples / RED):
        body = asking(url)
        refused = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers)
        assert outcome(refused) == (403, "media_forbidden")
        missing = httpx.post(f"{server.url}/v1/chat/completions", json=asking("/no/such"), headers=headers)
        assert outcome(missing) == (403, "media_forbidden"), "nor learn what is there"
    assert server.chat(**asking(str(samples / RED))).status_code == 200


def test_a_page_cannot_ask_at_all_without_a_preflight(server: Running) -> None:
    plain = httpx.post(f"{server.url}/v1/chat/completions", content=json.dumps({"messages": "hi"}))
    assert plain.status_code == 415
    preflight = httpx.options(
        f"{server.url}/v1/chat/completions",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert (
        "access-control-allow-origin"
        not in httpx.get(f"{server.url}/v1/models", headers={"Origin": "https://evil.example"}).headers
    )


def test_an_allowed_page_may_ask_but_not_read_files(start: Start, samples: Path) -> None:
    server = start(cors_origins=("https://good.example",))
    origin = {"Origin": "https://good.example"}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json={"messages": "hi", "max_tokens": 1}, headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://good.example"
    file = httpx.post(f"{server.url}/v1/chat/completions", json=asking(str(samples / RED)), headers=origin)
    assert outcome(file) == (403, "media_forbidden")


def test_an_allowed_page_may_send_a_key(start: Start) -> None:
    server = start(cors_origins=("https://good.example",), api_keys=("first-key",))
    origin = {"Origin": "https://good.example"}
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = httpx.options(f"{server.url}/v1/chat/completions", headers=origin | wish)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    elsewhere = httpx.options(f"{server.url}/v1/chat/completions", headers=wish | {"Origin": "https://evil.example"})
    assert elsewhere.status_code == 400
    assert httpx.post(f"{server.url}/v1/chat/completions", json={"messages": "hi"}, headers=origin).status_code == 401
    assert httpx.options(f"{server.url}/v1/models").status_code == 405


def test_files_are_read_below_the_allowed_folders_alone(start: Start, samples: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a b.png").write_bytes((samples / RED).read_bytes())
    (tmp_path / "secret.png").write_bytes((samples / RED).read_bytes())
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "insider").symlink_to(inside)
    (tmp_path / "inside-out").mkdir()
    (tmp_path / "inside-out" / "a.png").write_bytes((samples / RED).read_bytes())
    os.mkfifo(inside / "pipe")
    server = start(media_paths=(str(inside),))
    for good in f"file://{inside}/a%20b.png", f"{inside}/a b.png", f"{inside}/../inside/a b.png":
        assert server.chat(**asking(good)).status_code == 200, good
    for bad in (
        f"file://{tmp_path}/secret.png",
        f"{inside}/../secret.png",
        f"file://{inside}/%2e%2e/secret.png",
        f"file://{inside}/link.png",
        f"{tmp_path}/inside-out/a.png",
        f"file://localhost.evil.example{inside}/a%20b.png",
        f"{inside}/pipe",
        "/etc/passwd",
        "../../../../../../etc/passwd",
    ):
        assert outcome(server.chat(**asking(bad))) == (403, "media_forbidden"), bad
    browser = httpx.post(
        f"{server.url}/v1/chat/completions", json=asking(f"{inside}/a b.png"), headers={"Origin": "https://a.example"}
    )
    assert browser.status_code == 200, "what is allowed is allowed to all"


def test_on_another_address_no_file_is_read(start: Start, samples: Path) -> None:
    server = start(host="0.0.0.0", insecure=True)
    assert outcome(server.chat(**asking(str(samples / RED)))) == (403, "media_forbidden")
    assert server.chat(messages="hi", max_tokens=1).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ],
)
def test_addresses_inside_the_network_are_not_fetched(
    server: Running, hostile: tuple[str, list[str]], host: str
) -> None:
    port = hostile[0].partition(":")[2]
    assert outcome(server.chat(**asking(f"http://{host}:{port}/a.png"))) in (
        (403, "media_forbidden"),
        (404, "media_not_found"),  # a resolver that does not know the odd spelling
    )
    assert hostile[1] == []


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 127.0.0.1 stand for the open internet; every other address stays what it is."""
    real = connections.is_public
    monkeypatch.setattr(connections, "is_public", lambda address: str(address) == "127.0.0.1" or real(address))


@pytest.mark.usefixtures("loopback_is_public")
def test_a_redirect_inwards_is_not_followed(server: Running, hostile: tuple[str, list[str]]) -> None:
    web, hits = hostile
    for target in f"http://127.0.0.2:{web.partition(':')[2]}/x", "http://169.254.169.254/latest", "file:///etc/passwd":
        assert outcome(server.chat(**asking(f"http://{web}/to/{target}"))) == (403, "media_forbidden")
    assert [hit for hit in hits if not hit.startswith("/to/")] == []


@pytest.mark.usefixtures("loopback_is_public")
def test_an_endless_download_is_cut_at_the_limit(start: Start, hostile: tuple[str, list[str]]) -> None:
    server = start(body=2**20)
    assert outcome(server.chat(**asking(f"http://{hostile[0]}/endless"))) == (413, "media_too_large")
    until(lambda: "cut" in hostile[1], 5)


@pytest.mark.usefixtures("loopback_is_public")
def test_only_named_hosts_are_fetched_from(start: Start, hostile: tuple[str, list[str]]) -> None:
    server = start(media_domains=("*.good.example",))
    assert outcome(server.chat(**asking(f"http://{hostile[0]}/a.png"))) == (403, "media_forbidden")
    assert hostile[1] == []


def test_keys(start: Start) -> None:
    server = start(api_keys=("first-key", "second-key"))

    def status(path: str, **headers: str) -> int:
        return httpx.get(server.url + path, headers=headers).status_code

    for path in "/v1/models", "/metrics":
        assert status(path) == 401
        assert status(path, authorization="Bearer wrong") == 401
        assert status(path, authorization="Basic first-key") == 401
        assert status(path, authorization="Bearer second-key") == 200
    assert status("/v1/models", **{"x-api-key": "first-key"}) == 200
    for path in "/health", "/ready", "/docs", "/openapi.json":
        assert status(path) == 200, "what says nothing of this server's own needs no key"
    refused = server.chat(messages="hi")
    assert refused.json()["error"]["type"] == "authentication_error"
    assert refused.headers["www-authenticate"] == "Bearer"
    assert server.client("first-key").models.list().data[0].id == "demo"


def test_every_key_is_compared_in_the_same_time() -> None:
    with mock.patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        access.authorize(Headers({"authorization": "Bearer a"}), "/v1/models", Keyring(("a", "b", "c")))
    assert compare.call_count == 3


def test_a_body_over_the_limit_is_refused_whatever_it_announces(start: Start) -> None:
    server = start(body=10_000)
    url = f"{server.url}/v1/chat/completions"
    announced = httpx.post(url, content=b"x" * 20_000, headers=JSON)
    assert outcome(announced) == (413, "request_too_large")
    chunked = httpx.post(url, content=(b"y" * 1000 for _ in range(20)), headers=JSON)
    assert outcome(chunked) == (413, "request_too_large")
    assert "--max-body" in chunked.json()["message"]
    assert server.chat(messages="hi", max_tokens=1).status_code == 200


def test_headers_without_end_are_refused(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000)
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 4")


def dripped(connection: socket.socket) -> bytes:
    """What a server answers to one more letter every few milliseconds, until it hangs up."""
    answer = b""
    connection.settimeout(0.02)
    begun = time.perf_counter()
    while time.perf_counter() < begun + 10:
        with contextlib.suppress(OSError):  # it may have hung up already, and there is still something to read
            connection.sendall(b"a")
        try:
            received = connection.recv(10_000)
        except TimeoutError:
            continue
        except OSError:
            return answer
        if not received:
            return answer
        answer += received
    raise AssertionError("the server still waits")


def test_headers_that_never_end_are_not_waited_for(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.server.http.connection.HEADERS", 0.3)
    begin = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(begin)
        answer = dripped(one)
    assert answer.startswith(b"HTTP/1.1 408")
    assert "did not end" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(begin + b"\r\n" + begin)  # the second on the same connection
        assert re.findall(rb"HTTP/1.1 (\d+)", dripped(one)) == [b"200", b"408"]
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.settimeout(10)
        assert one.recv(10) == b""  # nothing was said to who said nothing


def test_one_connection_too_many_is_told_so(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.server.http.connection.most_connections", lambda: 3)
    with contextlib.ExitStack() as clients:
        for _ in range(3):
            clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        refused = httpx.get(f"{server.url}/health")
        assert refused.status_code == 503
        assert "connections" in refused.json()["error"]["message"]
    until(lambda: httpx.get(f"{server.url}/health").status_code == 200, 5)


def test_an_answer_may_take_longer_than_header_lines(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.server.http.connection.HEADERS", 0.2)
    ending: list[bool] = []

    def slowly(name: str | None) -> ServedModel:
        time.sleep(0.5)
        ending.append(True)
        return server.service.default

    monkeypatch.setattr(server.service, "model", slowly)
    assert server.chat(messages="hi", max_tokens=1).status_code == 200
    assert ending == [True]


@pytest.mark.parametrize("key", [True, False])
def test_a_body_that_drips_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch, key: bool) -> None:
    """Nor is one that was answered already."""
    monkeypatch.setattr("mistralrs_cli.server.http.connection.HEADERS", 0.3)
    monkeypatch.setattr("mistralrs_cli.server.http.body.IDLE", 0.3)
    server = start(api_keys=("key",))
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: 100000\r\nx-api-key: {'key' if key else 'wrong'}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(head.encode())
        answer = dripped(one)
    assert answer.startswith(b"HTTP/1.1 408" if key else b"HTTP/1.1 401")


def test_a_slow_line_is_waited_for(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.server.http.body.IDLE", 0.4)
    monkeypatch.setattr("mistralrs_cli.server.http.body.SLOWEST", 100)
    words = json.dumps({"messages": "hi" * 50, "max_tokens": 1}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(words), 20):
            yield words[start : start + 20]
            time.sleep(0.1)

    begun = time.perf_counter()
    answer = httpx.post(f"{server.url}/v1/chat/completions", content=pieces(), headers=JSON)
    assert answer.status_code == 200
    assert time.perf_counter() > begun + 0.4


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"hi"', b"\xff\xfe", b'{"messages": "\\ud800"}', b"[" * 100_000, b'{"messages": NaN}'],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_what_is_no_request_is_refused(server: Running, body: bytes) -> None:
    response = httpx.post(f"{server.url}/v1/chat/completions", content=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_more_media_than_allowed_are_refused_before_any_is_read(start: Start) -> None:
    server = start(images=1)
    part = {"type": "image_url", "image_url": "/no/such/file"}
    response = server.chat(messages=[{"role": "user", "content": [part, part]}])
    assert response.status_code == 400
    assert "--limit-images" in response.json()["message"]


@pytest.mark.parametrize(("kind", "name"), [("image", RED), ("audio", "beeps.wav"), ("video", "clip.mp4")])
def test_media_that_are_small_only_while_packed_are_refused_together(
    server: Running, samples: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    part = asking(str(samples / name), kind)["messages"][0]["content"][0]
    medium = MediaRef(kind, str(samples / name))  # type: ignore[arg-type]
    policy = MediaPolicy()
    size = decoded_bytes(decode(fetch(medium, policy), policy, rate=16_000))
    assert size > (samples / name).stat().st_size
    monkeypatch.setattr(server_media, "SERVER_DECODED", 3 * size - 1)
    refused = server.chat(messages=[{"role": "user", "content": [part] * 4}])
    assert outcome(refused) == (413, "media_too_large")
    assert refused.json()["error"]["param"] == "messages[0].content[2]"
    assert server.chat(messages=[{"role": "user", "content": [part]}], max_tokens=1).status_code == 200


def test_a_prompt_longer_than_the_context_is_refused(server: Running) -> None:
    response = server.chat(messages="word " * 9000)
    assert outcome(response) == (400, "context_length_exceeded")


def test_a_text_that_could_never_fit_is_not_taken_apart(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """That would take minutes, in which nobody else's prompt is read."""
    engine = server.service.default.ready()

    class Untouched:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the text was taken apart")

    monkeypatch.setattr(engine, "_preparing", Untouched())
    endless = "x " * 1_000_000
    call = {"id": "1", "function": {"name": "f", "arguments": json.dumps({"a": endless})}}
    for path, body in (
        ("/v1/chat/completions", {"messages": endless}),
        ("/v1/chat/completions", {"messages": endless, "truncate_sequence": True}),
        ("/v1/chat/completions", {"messages": [{"role": "assistant", "tool_calls": [call]}]}),
        ("/v1/completions", {"prompt": endless}),
        ("/tokenize", {"prompt": endless}),
        ("/tokenize", {"messages": endless}),
    ):
        assert outcome(server.post(path, **body)) == (400, "context_length_exceeded"), path


def test_a_full_queue_says_when_to_come_back(start: Start, engine: Engine) -> None:
    server = start(rows=1, queue=1)
    url = f"{server.url}/v1/chat/completions"
    with (
        httpx.stream("POST", url, json=LONG | {"stream": True}) as one,
        httpx.stream("POST", url, json=LONG | {"stream": True}) as two,
    ):
        assert (one.status_code, two.status_code) == (200, 200)
        refused = server.chat(messages="hi")
        assert outcome(refused) == (429, "rate_limit_exceeded")
        assert int(refused.headers["retry-after"]) >= 1
    until(lambda: engine.running == 0)
    until(lambda: server.service.concurrency.in_flight == 0)
    assert server.chat(messages="hi", max_tokens=1).status_code == 200


def test_the_log_holds_nothing_of_what_is_said_unless_asked(start: Start, samples: Path) -> None:
    secret = "a secret word"
    body = asking(str(samples / RED)) | {"max_tokens": 5}
    body["messages"][0]["content"].append({"type": "text", "text": secret})
    for options, told in (({}, False), ({"log_requests": True}, True)):
        server = start(**options)
        assert server.chat(**body).status_code == 200
        server.chat(messages=secret, temperature=-1)
        until(lambda server=server: len(server.lines) == 2)
        said = json.dumps(server.lines)
        assert (secret in said) is told
        assert (RED in said) is told
        assert {"request", "status", "seconds", "path"} <= server.lines[0].keys()


def test_a_request_id_is_kept_if_it_is_one(server: Running) -> None:
    def told(value: str) -> str:
        return httpx.get(f"{server.url}/health", headers={"X-Request-Id": value}).headers["x-request-id"]

    assert told("my-request.1") == "my-request.1"
    assert told("two words") != "two words"
    assert len(told("x" * 1000)) == 32


def test_answers_that_run_when_the_server_ends_say_so(start: Start, engine: Engine) -> None:
    server = start()
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=LONG | {"stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        server.service.end_all()
        last = [line for line in lines if line][-1]
    assert "shutting down" in json.loads(last.removeprefix("data: "))["error"]["message"]
    until(lambda: engine.running == 0)
