"""Media from a web server that means no good."""

import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli import __version__
from mistralrs_cli.errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound, MediaTooLarge
from mistralrs_cli.media import fetch
from mistralrs_cli.media.connections import is_public
from mistralrs_cli.media.remote import announced
from mistralrs_cli.messages import MediaRef
from mistralrs_cli.options import MediaPolicy

from .conftest import POLICY, Hostile

GIF = b"GIF89a\x01\0\x01\0\0\0\0;"
QUICK = MediaPolicy(fetch_seconds=0.6, idle_seconds=0.3, max_bytes=1 << 20)
GUARDED = MediaPolicy(private_addresses=False)


def read(url: str, policy: MediaPolicy = POLICY) -> bytes:
    data = fetch(MediaRef("image", url), policy).data
    assert isinstance(data, bytes)
    return data


def test_download(hostile: Hostile) -> None:
    assert read(hostile.reply("/a.gif?size=big", GIF)) == GIF
    request = hostile.requests[0].lower()
    assert f"user-agent: mistralrs/{__version__}\r\n" in request
    assert f"host: 127.0.0.1:{hostile.port}\r\n" in request


def test_names_spaces_and_credentials(hostile: Hostile) -> None:
    hostile.reply("/%C3%BC%20b.gif", GIF)
    assert read(f"HTTP://user:secret@localhost:{hostile.port}/ü b.gif#part") == GIF
    assert "Authorization: Basic dXNlcjpzZWNyZXQ=" in hostile.requests[0]


def test_chunked(hostile: Hostile) -> None:
    body = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(GIF):x}\r\n".encode() + GIF + b"\r\n0\r\n\r\n"
    )
    assert read(hostile.act("/chunked", lambda client: client.sendall(body))) == GIF


def test_the_type_is_heard_without_the_body(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.media.remote.ASKING", 0.3)
    hostile.reply("/picture", GIF, Content_Type="Image/GIF; q=1", Content_Length="99999999")
    moved = hostile.reply("/moved", status="302 Found", Location="/picture")
    assert announced(moved, POLICY) == "image/gif"
    assert announced(hostile.reply("/page", b"<html>", Content_Type="text/html"), POLICY) == "text/html"
    with pytest.raises(MediaNotFound, match="404"):
        announced(hostile.reply("/gone", status="404 Not Found"), POLICY)
    with pytest.raises(MediaError):
        announced(hostile.act("/silent", silent), POLICY)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/to.gif", "to.gif", "//127.0.0.1:{}/to.gif", "http://127.0.0.1:{}/to.gif"])
def test_redirects(hostile: Hostile, status: int, where: str) -> None:
    hostile.reply("/to.gif", GIF)
    assert read(hostile.reply("/from", status=f"{status} Moved", Location=where.format(hostile.port))) == GIF


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", MediaNotFound), ("410 Gone", MediaNotFound), ("403 Forbidden", MediaForbidden),
        ("401 Unauthorized", MediaForbidden), ("429 Too Many Requests", MediaError), ("500 Internal Server Error",
        MediaError),
        ("503 Service Unavailable", MediaError), ("418 I'm a Teapot", MediaError), ("204 No Content", MediaError),
        ("999 Odd", MediaError), ("304 Not Modified", MediaError),
    ],
)  # fmt: skip
def test_refusals(hostile: Hostile, status: str, kind: type[MediaError]) -> None:
    url = hostile.reply("/x", status=status)
    with pytest.raises(MediaError, match=f"The server answered {status[:3]} .* for {url}") as caught:
        read(url)
    assert type(caught.value) is kind
    assert caught.value.hint


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", r"is a web page \(HTML\), not a medium"),
        (b'{"error": "no"}', "is a text file, not a medium"),
        (b"", r"is empty \(0 bytes\)"),
    ],
)
def test_not_media(hostile: Hostile, body: bytes, says: str) -> None:
    with pytest.raises(MediaDecodeError, match=says):
        read(hostile.reply("/x.png", body, Content_Type="image/png"))


def silent(client: socket.socket) -> None:
    client.recv(1)  # until the other side leaves


def dripping(head: bytes) -> Any:
    def drip(client: socket.socket) -> None:
        client.sendall(head)
        while True:
            client.sendall(b"x")
            time.sleep(0.05)

    return drip


def endless(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(bytes(65536))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (silent, r"The server of http\S+ said nothing for 0.3 s"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n"), "did not arrive within 0.6 s"),
        (dripping(b"HTTP/1.1 200 OK\r\nX-Header: "), "did not arrive within 0.6 s"),
        (dripping(b""), "did not arrive within 0.6 s"),
    ],
    ids=["silent", "slow body", "slow header", "slow status"],
)
def test_slow(hostile: Hostile, answer: Any, says: str) -> None:
    began = time.monotonic()
    with pytest.raises(MediaError, match=says):
        read(hostile.act("/slow", answer), QUICK)
    assert time.monotonic() - began < 3


def test_endless(hostile: Hostile) -> None:
    with pytest.raises(MediaTooLarge, match=r"larger than the limit of 1\.0 MiB"):
        read(hostile.act("/endless", endless), MediaPolicy(max_bytes=1 << 20))


def test_announced_size_is_believed_at_once(hostile: Hostile) -> None:
    with pytest.raises(MediaTooLarge):
        read(hostile.reply("/big", b"x", Content_Length=str(10**12)), QUICK)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nGIF", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\n"],
    ids=["nothing", "cut off", "another protocol", "half a header"],
)
def test_broken_answers(hostile: Hostile, answer: bytes) -> None:
    with pytest.raises(MediaError, match=r"The connection for http\S+ failed"):
        read(hostile.act("/x", lambda client: client.sendall(answer)), QUICK)


def test_redirect_loop(hostile: Hostile) -> None:
    with pytest.raises(MediaError, match="redirects more than 5 times"):
        read(hostile.reply("/loop", status="302 Found", Location="/loop"))
    assert len(hostile.requests) == 6


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:image/gif;base64,R0lGODlh", "gopher://x"]
)
def test_redirect_away_from_the_web(hostile: Hostile, where: str) -> None:
    with pytest.raises(MediaForbidden, match=r"Only http and https|not on the web"):
        read(hostile.reply("/away", status="302 Found", Location=where))


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://[::1", "http://a b/", "http://127.0.0.1:99999/"])
def test_impossible_addresses(url: str) -> None:
    with pytest.raises(MediaNotFound):
        read(url, QUICK)


def test_unknown_host_and_closed_port(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = hostile.url("/x")
    hostile.close()
    with pytest.raises(MediaNotFound, match=f"No server answers at {closed}"):
        read(closed)

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MediaNotFound, match=r"The host of http://nowhere.invalid/x is not known"):
        read("http://nowhere.invalid/x")


def test_remote_switched_off(hostile: Hostile) -> None:
    with pytest.raises(MediaForbidden, match="from the web are not allowed"):
        read(hostile.reply("/x", GIF), MediaPolicy(remote=False))
    assert hostile.requests == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
    "10.0.0.1",
     "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "[fe80::1]", "[fd00:ec2::254]",
     "168.63.129.16", "224.0.0.1", "255.255.255.255"],
)  # fmt: skip
def test_private_addresses_are_refused(hostile: Hostile, host: str) -> None:
    hostile.reply("/x", GIF)
    with pytest.raises(MediaForbidden, match="inside a private network"):
        read(hostile.url("/x", host), GUARDED)
    assert hostile.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700:4700::1111", True), ("127.0.0.1", False), ("::", False), ("::ffff:10.0.0.1",
        False),
        ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("64:ff9b::808:808", True), ("2002:7f00:1::", False),
        ("2001:0:0:0:0:0:f5ff:fffe", False), ("::7f00:1", False), ("fec0::1", False), ("ff0e::1", False),
        ("198.18.0.1", False),
        ("192.0.2.1", False), ("240.0.0.1", False),
    ],
)  # fmt: skip
def test_is_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def resolver(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> list[str]:
    """Let each look-up of a name give the next of its answers; the names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        addresses = answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


class Route:
    """Sends connections for a public address to the test server, and notes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hostile: Hostile) -> None:
        self.dialled: list[str] = []

        def create_connection(address: tuple[str, int], *rest: Any, **options: Any) -> socket.socket:
            self.dialled.append(address[0])
            if address[0] == "8.8.4.4":
                raise ConnectionRefusedError(111, "Connection refused")
            # create_connection looks its host up again: numbers only, no second answer of the resolver
            ipaddress.ip_address(address[0])
            plain = socket.socket()
            plain.settimeout(5)
            plain.connect(("127.0.0.1", hostile.port))
            return plain

        monkeypatch.setattr(socket, "create_connection", create_connection)


def test_rebinding_cannot_happen(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route(monkeypatch, hostile)
    asked = resolver(monkeypatch, {"evil.example": [["8.8.8.8"], ["127.0.0.1"]]})
    hostile.reply("/x", GIF)
    assert read("http://evil.example/x", GUARDED) == GIF
    assert (asked, route.dialled) == (["evil.example"], ["8.8.8.8"])  # one answer, checked and dialled
    assert "Host: evil.example\r\n" in hostile.requests[0]
    with pytest.raises(MediaForbidden, match=r"evil.example has the address 127.0.0.1"):
        read("http://evil.example/x", GUARDED)


def test_one_private_address_among_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"evil.example": [["8.8.8.8", "192.168.0.1"]]})
    with pytest.raises(MediaForbidden, match=r"192.168.0.1"):
        read("http://evil.example/x", GUARDED)


def test_the_next_address_is_tried(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route(monkeypatch, hostile)
    resolver(monkeypatch, {"cdn.example": [["8.8.4.4", "8.8.8.8"]]})
    hostile.reply("/x", GIF)
    assert read("http://cdn.example/x", GUARDED) == GIF
    assert route.dialled == ["8.8.4.4", "8.8.8.8"]


def test_redirect_to_a_private_address(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    Route(monkeypatch, hostile)
    resolver(monkeypatch, {"ok.example": [["8.8.8.8"]], "169.254.169.254": [["169.254.169.254"]]})
    hostile.reply("/x", status="302 Found", Location="http://169.254.169.254/latest/meta-data/")
    with pytest.raises(MediaForbidden, match=r"^169.254.169.254 is inside a private network"):
        read("http://ok.example/x", GUARDED)


def test_domains(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    Route(monkeypatch, hostile)
    names = ["a.example", "b.example", "sub.b.example", "evilb.example"]
    resolver(monkeypatch, {name: [["8.8.8.8"]] * 4 for name in names})
    policy = MediaPolicy(domains=("a.example", "*.b.example"))
    hostile.reply("/x", GIF)
    assert read("http://A.example/x", policy) == GIF
    assert read("http://sub.b.example/x", policy) == GIF
    for host in ("b.example", "evilb.example", "xa.example", "a.example.evil"):
        with pytest.raises(MediaForbidden, match=f"Media from {host} are not allowed"):
            read(f"http://{host}/x", policy)
    hostile.reply("/y", status="302 Found", Location="http://evilb.example/x")
    with pytest.raises(MediaForbidden, match=r"Media from evilb.example"):
        read("http://a.example/y", policy)


def test_proxy_is_used_only_where_addresses_need_no_check(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", hostile.url(""))
    monkeypatch.setenv("no_proxy", "")
    hostile.reply("http://far.example/x", GIF)
    assert read("http://far.example/x") == GIF
    resolver(monkeypatch, {"far.example": [["10.0.0.1"]]})
    with pytest.raises(MediaForbidden):
        read("http://far.example/x", GUARDED)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificate_must_fit_the_name(tmp_path: Path, hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=good.example"]
    command += ["-addext", "subjectAltName=DNS:good.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    hostile.wrap = lambda client: context.wrap_socket(client, server_side=True)
    hostile.reply("/x", GIF)
    Route(monkeypatch, hostile)
    resolver(monkeypatch, {name: [["8.8.8.8"]] * 2 for name in ("good.example", "bad.example")})
    with pytest.raises(MediaForbidden, match=r"The certificate of https://good.example/x is not trusted"):
        read("https://good.example/x", GUARDED)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert read("https://good.example/x", GUARDED) == GIF
    with pytest.raises(MediaForbidden, match=r"The certificate of https://bad.example/x is not trusted"):
        read("https://bad.example/x", GUARDED)
