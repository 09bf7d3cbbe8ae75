"""Whether a request comes from the page on the machine of the server's own user."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...options import ServerOptions
from ..http.auth import PROXIES, host_name, is_loopback


def is_own(request: Request, options: ServerOptions) -> bool:
    """Whether the stored chats of the server's user are the caller's own.

    Other users of the machine reach a loopback address, too, so only the key of the page that the server has shown to
    its user opens them there. Other users cannot connect to the Unix socket.
    """
    return is_near(request, options) and (options.uds is not None or has_page_key(request, options.page_key))


def is_locked(request: Request, options: ServerOptions) -> bool:
    """Whether the key of the page is all that the caller lacks."""
    return is_near(request, options) and bool(options.page_key) and not is_own(request, options)


def has_page_key(request: Request, key: str) -> bool:
    """Whether a request carries the key of the page, and there is one."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    return bool(key) and scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), key.encode())


def is_near(request: Request, options: ServerOptions) -> bool:
    """Whether a request comes from this machine, and from no other page than the server's own.

    Only this machine reaches the server, no proxy stands between, and a browser says that the page asking is the
    server's own. A page whose name was made to mean this machine gives itself away by the ``Host``.
    """
    headers = request.headers
    if options.uds is None and not is_loopback(options.host):
        return False
    if request.scope.get("http_version") == "1.0" or any(name.startswith(PROXIES) for name in headers):
        return False
    host = headers.get("host", "")
    if not is_loopback(host_name(host)) or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def check_own(request: Request, options: ServerOptions) -> None:
    """Raise 403 unless the stored chats are the caller's own."""
    if is_locked(request, options):
        raise HTTPException(403, "The stored chats need the key in the address of the page that the server has shown.")
    if not is_own(request, options):
        raise HTTPException(
            403, "Only the page of a server on your own machine may use the chats that are stored there."
        )
