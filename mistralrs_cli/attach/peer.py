"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

LOCAL_PEERCRED, LOCAL_PEERPID = 1, 2  # of macOS, under SOL_LOCAL, which is 0; Python has no names for them


@dataclass(frozen=True, slots=True)
class Peer:
    """A process: its user, and its id where the platform tells it."""

    user: int
    process: int | None = None

    @property
    def is_us(self) -> bool:
        """Whether it is of this process's user."""
        return self.user == os.geteuid()


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end. Raises ``OSError`` where the platform cannot tell."""
    platform: str = sys.platform
    if platform == "linux":
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process, user, _ = struct.unpack("3i", packed)
        return Peer(user, process)
    if platform == "darwin":
        _, user = struct.unpack_from("2I", connection.getsockopt(0, LOCAL_PEERCRED, 76))
        (process,) = struct.unpack("i", connection.getsockopt(0, LOCAL_PEERPID, 4))
        return Peer(user, process)
    raise OSError("this platform does not tell who is at the other end of a socket")
