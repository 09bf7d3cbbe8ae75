"""Media from the web: one download within the policy's limits, to an address that was checked.

Each redirect passes through the same gate.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

import httpcore
import httpx

from .. import __version__
from ..errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound
from ..options import MediaPolicy
from .connections import connection_pool
from .formats import identify
from .labels import label
from .limits import check_bytes

Read = TypeVar("Read", bytes, str)
Reader = Callable[[httpcore.Response, httpx.Headers, str, MediaPolicy], Read]

_REDIRECTS = (301, 302, 303, 307, 308)
ASKING = 4.0  # seconds: a word in a line may be nothing but an address


def download(source: str, policy: MediaPolicy) -> bytes:
    """The body at an ``http`` or ``https`` address.

    Raises:
        MediaForbidden: a domain or address the policy excludes, here or after a redirect, or the server said 401/403.
        MediaNotFound: no such host, connection refused, or the server said 404/410.
        MediaTooLarge: more than ``policy.max_bytes``, announced or sent.
        MediaDecodeError: a web page or other text instead of a medium.
        MediaError: any other refusal, a broken answer, or one that took too long.
    """
    return _medium(_follow(source, policy, _body), source)


def announced(source: str, policy: MediaPolicy) -> str:
    """What a server says it has at an address (``image/png``), heard within moments; empty where it does not say.

    Raises what ``download`` does where the server gives nothing.
    """
    hurried = replace(policy, fetch_seconds=ASKING, idle_seconds=ASKING)
    return _follow(source, hurried, _announced).partition(";")[0].strip().lower()


def _follow(source: str, policy: MediaPolicy, read: Reader[Read]) -> Read:
    """What ``read`` makes of the answer at the end of all redirects."""
    deadline = time.monotonic() + policy.fetch_seconds
    url = _parsed(source, source)
    try:
        for _ in range(policy.max_redirects + 1):
            answer = _get(url, source, policy, deadline, read)
            if not isinstance(answer, httpx.URL):
                return answer
            url = answer
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise _slow(source, policy, deadline) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError, UnicodeError) as error:
        raise _broken(source, error) from error
    raise MediaError(
        f"{label(source)} redirects more than {policy.max_redirects} times",
        "Open it in a browser and copy the final address.",
    )


def _parsed(address: str, source: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise MediaNotFound(f"{label(source)} is not a valid address: {error}", "Check the address.") from error
    if url.scheme not in ("http", "https"):
        raise MediaForbidden(
            f"{label(source)} leads to {label(address)}, which is not on the web", "Only http and https are followed."
        )
    if not url.host:
        raise MediaNotFound(f"{label(source)} names no host", "Check the address.")
    return url


def _get(url: httpx.URL, source: str, policy: MediaPolicy, deadline: float, read: Reader[Read]) -> Read | httpx.URL:
    """One request: what ``read`` makes of the answer, or where it redirects to."""
    _check_domain(url.host, source, policy)
    headers = [
        ("Host", url.netloc.decode("ascii")),
        ("User-Agent", f"mistralrs/{__version__}"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    ]
    if url.userinfo:
        credentials = f"{url.username}:{url.password}".encode()
        headers.append(("Authorization", "Basic " + base64.b64encode(credentials).decode()))
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    limits = dict.fromkeys(("connect", "read", "write", "pool"), policy.idle_seconds)
    with (
        connection_pool(url, source, policy, deadline) as pool,
        pool.stream("GET", target, headers=headers, extensions={"timeout": limits}) as response,
    ):
        found = httpx.Headers(response.headers)
        if response.status in _REDIRECTS and "location" in found:
            return _parsed(str(url.join(_location(found["location"], source))), source)
        if response.status != HTTPStatus.OK:
            raise _refused(response.status, source)
        return read(response, found, source, policy)


def _location(value: str, source: str) -> httpx.URL:
    try:
        return httpx.URL(value)
    except httpx.InvalidURL as error:
        raise MediaError(f"{label(source)} redirects to an invalid address", "Check the address.") from error


def _body(response: httpcore.Response, headers: httpx.Headers, source: str, policy: MediaPolicy) -> bytes:
    announced = headers.get("content-length", "")
    if announced.isdigit():
        check_bytes(int(announced), source, policy)
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        check_bytes(len(body), source, policy)
    return bytes(body)


def _announced(response: httpcore.Response, headers: httpx.Headers, source: str, policy: MediaPolicy) -> str:
    kind: str = headers.get("content-type", "")
    return kind


def _medium(body: bytes, source: str) -> bytes:
    found = identify(body)
    if found is not None and found.kind is None:
        raise MediaDecodeError(
            f"{label(source)} is {found.name}, not a medium", "Give the address of the file itself, not of its page."
        )
    return body


def _refused(status: int, source: str) -> MediaError:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown"
    message = f"The server answered {status} ({phrase}) for {label(source)}"
    match status:
        case 404 | 410:
            return MediaNotFound(message, "Check the address.")
        case 401 | 403 | 407 | 451:
            return MediaForbidden(message, "The server does not give it to everyone: download it and give the file.")
        case 429 | 500 | 502 | 503 | 504:
            return MediaError(message, "Try again later, or download it and give the file.")
    return MediaError(message, "Download it and give the file.")


def _slow(source: str, policy: MediaPolicy, deadline: float) -> MediaError:
    if time.monotonic() >= deadline:
        what = f"{label(source)} did not arrive within {policy.fetch_seconds:g} s"
    else:
        what = f"The server of {label(source)} said nothing for {policy.idle_seconds:g} s"
    return MediaError(what, "Try again, or download it and give the file.")


def _broken(source: str, error: Exception) -> MediaError:
    reason = _cause(error)
    match reason:
        case ssl.SSLCertVerificationError():
            return MediaForbidden(
                f"The certificate of {label(source)} is not trusted: {reason.verify_message}",
                "Download it yourself if you trust it, and give the file.",
            )
        case ssl.SSLError():
            return MediaError(
                f"No encrypted connection could be made for {label(source)}: {reason.reason or reason}",
                "Check the address: does the server want http:// in place of https://?",
            )
        case ConnectionRefusedError():
            return MediaNotFound(f"No server answers at {label(source)} (connection refused)", "Check host and port.")
        case socket.gaierror():
            return MediaNotFound(f"The host of {label(source)} is not known", "Check the address and your network.")
    text = (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__
    return MediaError(
        f"The connection for {label(source)} failed: {text}", "Try again, or download it and give the file."
    )


def _cause(error: BaseException) -> BaseException:
    """The operating system's own error, below those it was wrapped in."""
    inner = error.__cause__ or error.__context__
    return _cause(inner) if isinstance(inner, OSError) else error


def _check_domain(host: str, source: str, policy: MediaPolicy) -> None:
    """Only a listed domain: ``example.com`` allows exactly that host, ``*.example.com`` those below it."""
    if policy.domains is None:
        return
    name = host.lower().rstrip(".")
    for domain in policy.domains:
        wanted = domain.lower().rstrip(".")
        if name == wanted or (wanted.startswith("*.") and name.endswith(wanted[1:])):
            return
    raise MediaForbidden(
        f"Media from {host} are not allowed here: {label(source)}",
        "Allow it with --allowed-media-domain, or send the bytes.",
    )
