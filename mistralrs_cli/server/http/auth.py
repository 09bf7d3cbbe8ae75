"""Who may use the server, and whose requests may name this machine's files."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...errors import OptionError
from ...options import ServerOptions
from ..keys import Account, Keyring

OPEN_PATHS = ("/health", "/ready", "/docs", "/openapi.json")
"""What needs no key: whether the server is up, and the reference, which says nothing of this server's own."""
PAGE = "/ui/"
"""Where the page is; its own files need no key, and hold nothing of this server's."""
PAGE_FILES = ("/", "/ui", PAGE)
FROM_ELSEWHERE = ("origin", "forwarded", "via", "true-client-ip", "fastly-client-ip", "fly-client-ip")
"""Headers that browsers or proxies add; a program of this machine that connects directly sends none of them."""
FORWARDING = (
    "x-forwarded",
    "x-real-",
    "x-original-",
    "x-client-",
    "x-cluster-client-",
    "x-envoy-",
    "cf-",
    "sec-fetch-",
)
"""Prefixes of such headers."""
PROXIES = (
    *(name for name in FROM_ELSEWHERE if name != "origin"),
    *(name for name in FORWARDING if name != "sec-fetch-"),
)
"""Beginnings of headers that proxies add, and browsers do not."""


def check(options: ServerOptions) -> None:
    """Refuse to open the server to others without a key, unless that is what the user wants."""
    if options.uds is None and not is_loopback(options.host) and not options.needs_key and not options.insecure:
        raise OptionError(
            f"--host {options.host} lets others reach this server, and there is no --api-key.",
            "Add --api-key KEY, or --insecure to let everyone in.",
        )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def authorize(headers: Headers, path: str, keys: Keyring) -> Account | None:
    """The account of the key that the request carries, if one is needed. Raises 401."""
    if not keys or path in OPEN_PATHS or path in PAGE_FILES or path.startswith(f"{PAGE}assets/"):
        return None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    sent = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    account = keys.account(sent)
    if account is None:
        raise HTTPException(
            401,
            "The API key is wrong." if sent else "An API key is needed: send the header Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return account


def check_host(headers: Headers, options: ServerOptions) -> None:
    """Raise 403 for a page whose name was made to mean this machine (DNS rebinding), where no key keeps it out.

    A proxy that passes the browser's own ``Host`` on needs a key, or ``--cors-origin`` with the address of its pages.
    """
    origin = headers.get("origin")
    if options.needs_key or options.uds is not None or not is_loopback(options.host):
        return
    if (origin is None and "sec-fetch-site" not in headers) or is_loopback(host_name(headers.get("host", ""))):
        return
    if "*" not in options.cors_origins and origin not in options.cors_origins:
        raise HTTPException(
            403, f"This server is for its own machine, not for pages of {headers.get('host', '')[:200]}."
        )


def may_name_files(headers: Headers, options: ServerOptions, http_version: str = "1.1") -> bool:
    """Whether a request comes from a program of this machine's user, not from a web page or through a proxy.

    Browsers send ``Origin`` with every POST. A page whose name was made to mean this machine gives itself away by
    the ``Host``. A plain nginx adds no header, but speaks HTTP/1.0.
    """
    if options.uds is None and not is_loopback(options.host):
        return False
    if http_version == "1.0" or any(name in FROM_ELSEWHERE or name.startswith(FORWARDING) for name in headers):
        return False
    referer = urlsplit(headers.get("referer", "")).hostname
    return is_loopback(host_name(headers.get("host", ""))) and (referer is None or is_loopback(referer))


def host_name(value: str) -> str:
    """The name in a ``Host`` header, without the port."""
    if value.startswith("["):
        return value.partition("]")[0][1:]
    return value.partition(":")[0]


def media_roots(request: Request, options: ServerOptions) -> tuple[str, ...] | None:
    """The folders a request's local files must lie in; ``None`` for all of them."""
    version = str(request.scope.get("http_version", "1.1"))
    return allowed_roots(options, local=may_name_files(request.headers, options, version))


def allowed_roots(options: ServerOptions, *, local: bool) -> tuple[str, ...] | None:
    """The folders that files may lie in which a request names that is ``local``, or is not; ``None`` for all."""
    if not options.local_files:
        return ()
    return options.media_paths if options.media_paths or not local else None


def opens_local_files(options: ServerOptions) -> bool:
    """Whether requests from this machine may name any file that the server's user can read."""
    return options.local_files and not options.media_paths and (options.uds is not None or is_loopback(options.host))
