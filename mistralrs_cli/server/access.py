"""Who may ask, and whose requests may name this machine's files."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from ..errors import OptionError
from ..options import ServerOptions

OPEN_PATHS = ("/health", "/ready")
FROM_ELSEWHERE = ("origin", "sec-fetch-site", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def check(options: ServerOptions) -> None:
    """Refuse to open the server to others without a key, unless that is what the user wants."""
    if not is_loopback(options.host) and not options.api_keys and not options.insecure:
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


def authorize(headers: Headers, path: str, keys: Iterable[str]) -> None:
    """Raise 401 unless the request carries one of the keys. Each comparison takes the same time."""
    expected = tuple(keys)
    if not expected or path in OPEN_PATHS:
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    matches = [hmac.compare_digest(given.encode(), key.encode()) for key in expected]
    if not any(matches):
        raise HTTPException(
            401,
            "The API key is wrong." if given else "An API key is needed: send the header Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def may_name_files(headers: Headers, options: ServerOptions) -> bool:
    """Whether a request comes from a program of this machine's user, not from a web page or through a proxy.

    Browsers send ``Origin`` with every POST. A page whose name was made to mean this machine gives itself away by
    the ``Host``.
    """
    if not is_loopback(options.host) or any(name in headers for name in FROM_ELSEWHERE):
        return False
    return is_loopback(host_name(headers.get("host", "")))


def host_name(value: str) -> str:
    """The name in a ``Host`` header, without the port."""
    if value.startswith("["):
        return value.partition("]")[0][1:]
    return value.partition(":")[0]


def media_roots(headers: Headers, options: ServerOptions) -> tuple[str, ...] | None:
    """The folders a request's local files must lie in; ``None`` for all of them."""
    if options.media_paths or not may_name_files(headers, options):
        return options.media_paths
    return None
