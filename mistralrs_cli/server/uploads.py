"""Media that are sent once and asked about often: kept for a while, in files of this process."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..conversation.disk import reason
from ..errors import MediaNotFound, MediaTooLarge, MistralrsError
from ..sizes import readable
from .upload_folder import UploadFolder, remove_left_over

SCHEME = "upload:"
"""How the address of an uploaded medium begins."""
TOTAL = 4 * 2**30  # bytes of all uploads
OWN = 2**30  # bytes of one key's
MOST = 1000  # uploads of one key
EXPIRY = 3600.0  # seconds after the last use

Uploaded = Callable[[str], bytes]
"""The bytes behind an address. Raises ``MediaNotFound`` where they are not there, or not this caller's."""


@dataclass
class Upload:
    """One medium: its owner, its size in bytes and when it was last used."""

    owner: str
    size: int
    used: float


class Uploads:
    """Bytes under names that only who has sent them can know. Its methods may be called from any thread.

    The same bytes of the same ``owner`` are kept once. What was not used for ``EXPIRY`` seconds goes, and what was used
    longest ago goes first where an owner has more than ``own`` bytes or ``MOST`` uploads, or all together more than
    ``total`` bytes. What servers that were killed have left in temporary files is removed at once.
    """

    def __init__(self, total: int = TOTAL, own: int = OWN, now: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.own = own
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._found: OrderedDict[str, Upload] = OrderedDict()  # by name, the one used last at the end
        self._folder: UploadFolder | None = None
        self._lock = threading.Lock()
        remove_left_over()

    def keep(self, data: bytes, owner: str) -> str:
        """Keep bytes; their address. Raises ``MediaTooLarge`` for too many, and ``MistralrsError``."""
        if len(data) > self.own:
            raise MediaTooLarge(f"The upload is larger than {readable(self.own)}.", "Send a smaller one.")
        name = self._name(hashlib.sha256(data).hexdigest(), owner)
        with self._lock:
            if name not in self._found:
                self._make_room(len(data), owner)
                try:
                    self._write(name, data)
                except OSError as error:
                    raise MistralrsError(f"The upload cannot be kept: {reason(error)}.") from error
            self._use(name, Upload(owner, len(data), self._now()))
        return SCHEME + name

    def read(self, address: str, owner: str) -> bytes:
        """The bytes at an address. Raises ``MediaNotFound``."""
        name = address.removeprefix(SCHEME)
        with self._lock:
            self._expire()
            found = self._found.get(name)
            if found is None or found.owner != owner:
                raise gone(address)
            try:
                data = self._path(name).read_bytes()
            except FileNotFoundError as error:  # the system cleans its temporary files
                self._remove(name)
                raise gone(address) from error
            self._use(name, Upload(owner, found.size, self._now()))
            return data

    def of_digest(self, digest: str, owner: str) -> bytes:
        """The bytes that have this SHA-256, in hexadecimal. Raises ``MediaNotFound``."""
        return self.read(SCHEME + self._name(digest, owner), owner)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            self._found.clear()
            if self._folder is not None:
                self._folder.close()
                self._folder = None

    def _name(self, digest: str, owner: str) -> str:
        return hmac.new(self._secret, f"{owner}\0{digest}".encode(), "sha256").hexdigest()

    def _write(self, name: str, data: bytes) -> None:
        """Write a whole file, or none. Raises ``OSError``."""
        if self._folder is not None and not self._folder.path.is_dir():  # the system cleans its temporary files
            self._folder.close()
            self._folder = None
        path = self._path(name)
        try:
            path.write_bytes(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def _make_room(self, size: int, owner: str) -> None:
        self._expire()
        while self._size(owner) + size > self.own or sum(one.owner == owner for one in self._found.values()) >= MOST:
            self._remove(next(name for name, one in self._found.items() if one.owner == owner))
        while self._found and self._size() + size > self.total:
            self._remove(next(iter(self._found)))

    def _expire(self) -> None:
        for name in [name for name, one in self._found.items() if self._now() - one.used > EXPIRY]:
            self._remove(name)

    def _size(self, owner: str | None = None) -> int:
        return sum(one.size for one in self._found.values() if owner is None or one.owner == owner)

    def _use(self, name: str, upload: Upload) -> None:
        self._found[name] = upload
        self._found.move_to_end(name)

    def _remove(self, name: str) -> None:
        del self._found[name]
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if self._folder is None:
            self._folder = UploadFolder()
        return self._folder.path / name


def gone(address: str) -> MediaNotFound:
    """The error for an address with nothing behind it."""
    return MediaNotFound(f"There is no upload {address[:80]!r}, or no longer", "Send it again.")


def no_uploads(address: str) -> bytes:
    """For callers who cannot have uploaded anything."""
    raise gone(address)
