"""What systemd gives a service and expects from it: a socket that listens already, and how far the start is."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from ..errors import OptionError

FIRST = 3  # the descriptor of the first socket that systemd passes on


def inherited() -> socket.socket | None:
    """The socket that systemd listens on for this process, if it does; it is taken once.

    Raises ``OptionError`` for several, and for one that is no TCP socket.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.pop("LISTEN_FDS", "0")
    del os.environ["LISTEN_PID"]
    if count == "0":
        return None
    listener = socket.socket(fileno=FIRST)
    if count != "1" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.detach()
        raise OptionError("systemd passes on something else than one TCP socket.", "One ListenStream=ADDRESS:PORT.")
    os.set_inheritable(FIRST, False)
    listener.setblocking(False)
    return listener


def notify(*facts: str) -> None:
    """Tell systemd, as in ``READY=1``, if it started this process and wants to know (``Type=notify``)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto("\n".join(facts).encode(), name)
