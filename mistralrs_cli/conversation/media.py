"""The media of kept conversations: each once, in a file named after the hash of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ..errors import MediaNotFound
from ..messages import Media
from . import short_name
from .disk import private_folder, replace_file


class MediaFiles:
    """Bytes by their SHA-256. Those that are not on the disk yet are held in memory, however often writing fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pending: dict[str, bytes] = {}

    def keep(self, data: bytes) -> str:
        """Hold bytes until they are written; their hash in hexadecimal."""
        digest = hashlib.sha256(data).hexdigest()
        self._pending[digest] = data
        return digest

    def read(self, medium: Media) -> bytes:
        """The bytes of a medium: as they are kept, else from the file it came from if that is unchanged.

        Raises ``MediaNotFound`` where they are gone.
        """
        digest = str(medium.digest)
        if digest in self._pending:
            return self._pending[digest]
        kept = file_bytes(self.path(digest))
        if kept is not None and hashlib.sha256(kept).hexdigest() == digest:
            return kept
        data = source_bytes(medium.source)
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            self._pending[digest] = data  # stored again with the next turn
            return data
        what = "is gone" if kept is None else "was changed on the disk"
        raise MediaNotFound(f"{short_name(medium)} {what}", "Attach it again, if you still have it.")

    def write(self, media: Iterable[Media]) -> list[tuple[Media, OSError]]:
        """Put media on the disk that are not there yet; those that cannot be written, and why."""
        failed: list[tuple[Media, OSError]] = []
        for medium in media:
            digest = str(medium.digest)
            data = self._pending.get(digest)
            if data is None:
                continue
            try:
                if not self.is_whole(digest):
                    private_folder(self.folder)
                    replace_file(self.path(digest), data)
            except OSError as error:
                failed.append((medium, error))
            else:
                self._pending.pop(digest, None)  # another thread may have written it, too
        return failed

    def is_whole(self, digest: str) -> bool:
        """Whether the bytes are on the disk, unchanged."""
        try:
            with self.path(digest).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False

    def is_kept(self, digest: str) -> bool:
        """Whether there are bytes for a hash, here or on the disk, where they may have been damaged."""
        return digest in self._pending or self.path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where a medium is kept."""
        return self.folder / digest


def file_bytes(path: Path) -> bytes | None:
    """The bytes of a file; ``None`` where they cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def source_bytes(source: str) -> bytes | None:
    """The bytes of the local file that a medium came from, if there is one."""
    try:
        path = Path(source).expanduser()
        return path.read_bytes() if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # no such home, or no path at all
        return None
