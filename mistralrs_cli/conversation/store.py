"""Where conversations are kept: one JSON file each, and every medium once, under the hash of its bytes.

::

    <data>/history                    lines typed in the chat
    <data>/sessions/<id>.json         a conversation
    <data>/media/<sha256>             bytes of a medium

``<data>`` is ``$MISTRALRS_DATA_DIR``, else the platform's folder for application data. Only its owner may read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import MediaNotFound, MistralrsError, OptionError
from . import Conversation
from .record import DIGEST, ID, from_object, to_object

STILL_THERE = "mistralrs sessions export still gives the words."
DAY = 24 * 3600.0


def data_folder() -> Path:
    """The folder for data of this user."""
    if named := os.environ.get("MISTRALRS_DATA_DIR"):
        return Path(named).expanduser()
    match sys.platform:
        case "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "mistralrs"
        case "darwin":
            return Path.home() / "Library" / "Application Support" / "mistralrs"
        case _:
            return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mistralrs"


@dataclass(frozen=True, slots=True)
class Summary:
    """A kept conversation in a line."""

    id: str
    changed: datetime
    turns: int
    media: int
    title: str
    model: str


class Store:
    """Conversations on disk. What cannot be written stays in memory, so a full disk ends no chat."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder()
        self.sessions = self.folder / "sessions"
        self._unwritten: dict[str, bytes] = {}
        self._seen: dict[str, int] = {}  # id → time of the file as this process left or found it

    @property
    def history(self) -> Path:
        """The file of lines typed, in a folder that exists and is private; raises ``OSError`` where it cannot."""
        path = self.folder / "history"
        private_folder(self.folder)
        path.touch(0o600)
        return path

    def keep(self, data: bytes) -> str:
        """Remember bytes by their hash. They reach the disk when a conversation with them is saved."""
        digest = hashlib.sha256(data).hexdigest()
        if not self._media(digest).exists():
            self._unwritten[digest] = data
        return digest

    def bytes_of(self, digest: str, source: str) -> bytes:
        """The bytes of a medium. Raises ``MediaNotFound`` where they are gone."""
        if digest in self._unwritten:
            return self._unwritten[digest]
        try:
            data = self._media(digest).read_bytes()
        except OSError as error:
            raise MediaNotFound(
                f"{source} of this chat is no longer kept: {error.strerror}",
                STILL_THERE,
            ) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise MediaNotFound(f"{source} of this chat was changed on disk.", STILL_THERE)
        return data

    def save(self, conversation: Conversation) -> None:
        """Write a conversation and its media. One that another chat has changed meanwhile is written as a new one.

        Raises ``MistralrsError`` where it cannot be written.
        """
        try:
            private_folder(self.folder)
            private_folder(self.sessions)
            private_folder(self.folder / "media")
            for digest in {medium.digest for medium in conversation.media} & self._unwritten.keys():
                assert digest is not None
                write(self._media(digest), self._unwritten.pop(digest))
            path = self._session(conversation.id)
            if path.exists() and path.stat().st_mtime_ns != self._seen.get(conversation.id):
                conversation.id = Conversation().id
                path = self._session(conversation.id)
            write(path, json.dumps(to_object(conversation), ensure_ascii=False, indent=1).encode("utf-8", "replace"))
            self._seen[conversation.id] = path.stat().st_mtime_ns
        except OSError as error:
            raise MistralrsError(
                f"This chat cannot be saved in {self.folder}: {error.strerror}", "Point MISTRALRS_DATA_DIR elsewhere."
            ) from error

    def holds(self, conversation: Conversation) -> bool:
        """Whether this process has saved or loaded it."""
        return conversation.id in self._seen

    def load(self, name: str) -> Conversation:
        """A kept conversation by its id or the beginning of one. Raises ``OptionError`` where there is none or two."""
        found = [path for path in self._files() if path.stem == name] or [
            path for path in self._files() if path.stem.startswith(name)
        ]
        if len(found) != 1 or not name:
            what = f"No chat is kept as {name}." if not found else f"{len(found)} chats begin with {name}."
            raise OptionError(what, "mistralrs sessions list shows them.")
        conversation = read_file(found[0], self.keep)
        conversation.id = found[0].stem
        self._seen[conversation.id] = found[0].stat().st_mtime_ns
        return conversation

    def latest(self) -> Conversation:
        """The conversation that was changed last. Raises ``OptionError`` where none is kept."""
        files = self._files()
        if not files:
            raise OptionError("No chat is kept yet.", "Start one: mistralrs run")
        return self.load(max(files, key=changed).stem)

    def summaries(self) -> list[Summary]:
        """Every kept conversation, the latest first. A damaged file is listed by its name."""
        return [self._summary(path) for path in sorted(self._files(), key=changed, reverse=True)]

    def delete(self, conversation: Conversation) -> None:
        """Remove a conversation, and media that no other one holds."""
        mine = {str(medium.digest) for medium in conversation.media}
        self._session(conversation.id).unlink(missing_ok=True)
        kept = {digest for path in self._files() for digest in DIGEST.findall(path.read_text(encoding="utf-8"))}
        folder = self.folder / "media"
        for path in folder.iterdir() if folder.is_dir() else ():
            # a medium of another chat's undone turn may still be on its screen
            if path.name not in kept and (path.name in mine or time.time() - changed(path) > DAY):
                path.unlink(missing_ok=True)

    def _summary(self, path: Path) -> Summary:
        moment = datetime.fromtimestamp(changed(path)).astimezone()
        try:
            found = read_file(path, self.keep)
        except OptionError as error:
            return Summary(path.stem, moment, 0, 0, error.message, "")
        model = str(found.model.get("model_id", ""))
        return Summary(path.stem, moment, len(found.turns), len(found.media), found.title, model)

    def _files(self) -> list[Path]:
        return [path for path in self.sessions.glob("*.json") if ID.fullmatch(path.stem)]

    def _session(self, name: str) -> Path:
        return self.sessions / f"{name}.json"

    def _media(self, digest: str) -> Path:
        return self.folder / "media" / digest


def read_file(path: Path, keep: Callable[[bytes], str]) -> Conversation:
    """The conversation in a file. Raises ``OptionError`` where it cannot be read or is something else."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except ValueError as error:
        raise OptionError(f"{path} is not a saved chat.", "Name a .json file that /save has written.") from error
    return from_object(found, str(path), keep)


def changed(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 where it has just gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing, readable by its owner alone."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
