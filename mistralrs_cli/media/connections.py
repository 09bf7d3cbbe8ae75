"""Connections to checked addresses, which end by a deadline.

The check and the connection use the same answer of the resolver: httpcore asks ``CheckedBackend`` to connect, which
resolves the name, checks every address and connects to one of them, while TLS goes on to verify the name.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from ..errors import MediaForbidden
from ..options import MediaPolicy
from .labels import label

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# services of a cloud's host under an address that looks public
_METADATA = ipaddress.ip_address("168.63.129.16")


def connection_pool(url: httpx.URL, source: str, policy: MediaPolicy, deadline: float) -> httpcore.ConnectionPool:
    """Connections for one request, over the user's proxy where private addresses are allowed."""
    context = httpx.create_ssl_context() if url.scheme == "https" else None
    backend = CheckedBackend(source, policy, deadline)
    # a proxy resolves names itself, out of reach of the address check
    proxy = getproxies().get(url.scheme) if policy.private_addresses and not proxy_bypass(url.host) else None
    if proxy is None:
        return httpcore.ConnectionPool(ssl_context=context, network_backend=backend)
    through = httpx.Proxy(proxy)
    return httpcore.HTTPProxy(
        proxy_url=httpcore.URL(str(through.url)),
        proxy_auth=through.raw_auth,
        ssl_context=context,
        network_backend=backend,
    )


def is_public(address: Address) -> bool:
    """Whether the address belongs to the open internet, looking through IPv4 addresses wrapped in IPv6 ones."""
    if address == _METADATA or not address.is_global or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and (address in _NAT64 or int(address) < 1 << 32):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return not address.is_site_local and (inner is None or is_public(inner))


class CheckedBackend(httpcore.NetworkBackend):
    """Connects only to checked addresses, and lets no single operation outlast the deadline."""

    def __init__(self, source: str, policy: MediaPolicy, deadline: float) -> None:
        self._source = source
        self._policy = policy
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = OSError("no address")
        for address in self._resolved(host, port):
            try:
                stream = self._inner.connect_tcp(
                    address, port, within(self._deadline, timeout), local_address, socket_options
                )
                return TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _resolved(self, host: str, port: int) -> list[str]:
        """The host's addresses, all of them allowed."""
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        if not self._policy.private_addresses:
            for address in addresses:
                if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                    where = "is" if host == address else f"has the address {address}"
                    raise MediaForbidden(
                        f"{host} {where} inside a private network: {label(self._source)}",
                        "Only addresses of the open internet may be fetched here; send the bytes instead.",
                    )
        return addresses

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class TimedStream(httpcore.NetworkStream):
    """A connection whose every read and write ends by the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, within(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, within(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return TimedStream(
            self._inner.start_tls(ssl_context, server_hostname, within(self._deadline, timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def within(deadline: float, timeout: float | None) -> float:
    """The time this operation may take."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left if timeout is None else min(left, timeout)
