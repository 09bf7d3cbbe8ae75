"""Where conversations are kept: one JSON file each, and every medium once, under the hash of its bytes.

::

    <data>/history                    lines typed in the chat
    <data>/sessions/<id>.json         a conversation
    <data>/media/<sha256>             bytes of a medium

``<data>`` is ``$MISTRALRS_DATA_DIR``, else the platform's folder for application data. Only its owner may read it.
Every file is replaced in one step and flushed to the disk, media before the conversation that names them: a process
that is killed, a power cut or a full disk leaves what was stored before.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import MistralrsError, OptionError
from ..folders import data_folder
from ..messages import Media
from . import Branch, Conversation, Turn, short_name
from .disk import TEMPORARY, private_folder, reason, replace_file
from .media import MediaFiles
from .record import DIGEST, ID, from_object, to_object

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Summary:
    """A kept conversation in a line."""

    id: str
    changed: datetime
    turns: int
    media: int
    title: str
    model: str
    branch: Branch | None = None


class Store:
    """Conversations on disk. Its methods may be called from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder()
        self.sessions = self.folder / "sessions"
        self.media = MediaFiles(self.folder / "media")
        self._ours: dict[str, set[str]] = {}  # id → hashes of the file as this process wrote or read it
        self._lock = threading.RLock()
        self._swept = False
        self._summaries: dict[str, tuple[tuple[int, int], Summary]] = {}  # by id, with the file's time and size

    @property
    def history(self) -> Path:
        """The file of lines typed, in a folder that exists and is private; raises ``OSError`` where it cannot."""
        path = self.folder / "history"
        private_folder(self.folder)
        path.touch(0o600)
        return path

    def keep(self, data: bytes) -> str:
        """Remember bytes by their hash. They reach the disk when a conversation with them is saved."""
        with self._lock:
            return self.media.keep(data)

    def read(self, medium: Media) -> bytes:
        """The bytes of a medium. Raises ``MediaNotFound`` where they are gone."""
        with self._lock:
            return self.media.read(medium)

    def save(self, conversation: Conversation, turns: Sequence[Turn] | None = None, *, media: bool = True) -> None:
        """Write a conversation, or these ``turns`` as its own, and its ``media`` where they are not on the disk yet.

        A conversation that another process has changed meanwhile gets a new id. The words are written even where
        media cannot be.

        Raises ``MistralrsError`` where something could not be written; the next call tries again.
        """
        whole = conversation if turns is None else replace(conversation, turns=list(turns))
        with self._lock:
            try:
                private_folder(self.folder)
                private_folder(self.sessions)
                self._sweep()
                failed = self.media.write(whole.media) if media else []
                self._put(conversation, whole)
            except OSError as error:
                raise MistralrsError(f"This chat cannot be saved in {self.folder}: {reason(error)}.") from error
        if failed:
            names = ", ".join(dict.fromkeys(short_name(medium) for medium, _ in failed))
            raise MistralrsError(f"{names} cannot be saved in {self.folder}: {reason(failed[0][1])}.")

    def _put(self, conversation: Conversation, whole: Conversation) -> None:
        found = self._on_disk(conversation.id)
        if found is not None and found not in self._ours.get(conversation.id, ()):
            conversation.id = Conversation().id
        whole = replace(whole, id=conversation.id)
        data = json.dumps(to_object(whole), ensure_ascii=False, indent=1).encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        # known before it is there: where taking the name fails it may be there all the same
        self._ours.setdefault(conversation.id, set()).add(digest)
        replace_file(self._session(conversation.id), data)
        self._ours[conversation.id] = {digest}

    def save_over(self, conversation: Conversation, version: str | None) -> None:
        """Write a conversation of which ``version`` was read; where the disk holds another it gets a new id.

        ``None`` is for one that is new. Raises what ``save`` does.
        """
        with self._lock:
            self._ours[conversation.id] = set() if version is None else {version}
            self.save(conversation)

    def version(self, name: str) -> str | None:
        """The hash of a conversation's file; ``None`` where there is none of this id. Raises ``MistralrsError``."""
        try:
            return self._on_disk(name) if ID.fullmatch(name) else None
        except OSError as error:
            raise MistralrsError(f"{self.sessions} cannot be read: {reason(error)}.") from error

    def holds(self, conversation: Conversation) -> bool:
        """Whether this process has saved or loaded it."""
        return conversation.id in self._ours

    def drop(self, conversation: Conversation) -> None:
        """Remove a conversation that came to nothing, unless another process has changed it.

        Raises ``MistralrsError`` where that fails.
        """
        with self._lock:
            try:
                if self._on_disk(conversation.id) in self._ours.get(conversation.id, ()):
                    self._session(conversation.id).unlink(missing_ok=True)
            except OSError as error:
                raise MistralrsError(f"This chat cannot be removed from {self.folder}: {reason(error)}.") from error
            self._ours.pop(conversation.id, None)

    def load(self, name: str) -> Conversation:
        """A kept conversation by its id or the beginning of one. Raises ``OptionError`` where there is none or two."""
        found = [path for path in self._files() if path.stem == name] or [
            path for path in self._files() if path.stem.startswith(name)
        ]
        if len(found) != 1 or not name:
            what = f"No chat is saved as {name}." if not found else f"{len(found)} chats begin with {name}."
            raise OptionError(what, "mistralrs sessions list shows them.")
        data = file_data(found[0])
        conversation = parsed(data, str(found[0]), self.keep)
        conversation.id = found[0].stem
        self._ours[conversation.id] = {hashlib.sha256(data).hexdigest()}
        return conversation

    def latest(self) -> Conversation:
        """The conversation that was changed last. Raises ``OptionError`` where none is kept."""
        files = self._files()
        if not files:
            raise OptionError("No chat is saved yet.", "Start one: mistralrs run")
        return self.load(max(files, key=changed).stem)

    def summaries(self) -> list[Summary]:
        """Every kept conversation, the latest first. A damaged file is listed by its name."""
        return [self._summary(path) for path in sorted(self._files(), key=changed, reverse=True)]

    def delete(self, conversation: Conversation) -> None:
        """Remove a conversation, and media that no other one holds. Raises ``MistralrsError`` where that fails."""
        mine = {str(medium.digest) for medium in conversation.media}
        try:
            self._session(conversation.id).unlink(missing_ok=True)
            kept = {digest for path in self._files() for digest in DIGEST.findall(path.read_text("utf-8", "replace"))}
            folder = self.media.folder
            for path in folder.iterdir() if folder.is_dir() else ():
                # a medium of another chat's undone turn may still be on its screen
                if path.name not in kept and (path.name in mine or time.time() - changed(path) > DAY):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise MistralrsError(f"{self.folder} cannot be changed: {reason(error)}.") from error

    def _sweep(self) -> None:
        """Once, remove what processes that were killed have left half written."""
        if self._swept:
            return
        self._swept = True
        for folder in (self.sessions, self.media.folder):
            for path in folder.glob(f"{TEMPORARY}*"):
                if time.time() - changed(path) > HOUR:
                    path.unlink(missing_ok=True)

    def _summary(self, path: Path) -> Summary:
        state = file_state(path)
        before = self._summaries.get(path.stem)
        if before is None or before[0] != state:
            before = self._summaries[path.stem] = (state, self._summed_up(path))
        return before[1]

    def _summed_up(self, path: Path) -> Summary:
        moment = datetime.fromtimestamp(changed(path)).astimezone()
        try:
            found = read_file(path, self.keep)
        except OptionError as error:
            return Summary(path.stem, moment, 0, 0, error.message, "")
        model = str(found.model.get("model_id", ""))
        return Summary(path.stem, moment, len(found.turns), len(found.media), found.title, model, found.branch)

    def _on_disk(self, name: str) -> str | None:
        """The hash of a conversation's file; ``None`` where there is none. Raises ``OSError``."""
        try:
            return hashlib.sha256(self._session(name).read_bytes()).hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _files(self) -> list[Path]:
        return [path for path in self.sessions.glob("*.json") if ID.fullmatch(path.stem)]

    def _session(self, name: str) -> Path:
        return self.sessions / f"{name}.json"


def read_file(path: Path, keep: Callable[[bytes], str]) -> Conversation:
    """The conversation in a file. Raises ``OptionError`` where it cannot be read or is something else."""
    return parsed(file_data(path), str(path), keep)


def file_data(path: Path) -> bytes:
    """The bytes of a file. Raises ``OptionError`` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {reason(error)}.", "Check the path.") from error


def parsed(data: bytes, name: str, keep: Callable[[bytes], str]) -> Conversation:
    """The conversation in a file's bytes; ``name`` is what the user calls it. Raises ``OptionError``."""
    try:
        found: Any = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{name} is not a saved chat.", "Name a .json file that /save has written.") from error
    return from_object(found, name, keep)


def changed(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 where it has just gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def file_state(path: Path) -> tuple[int, int]:
    """When a file was last written, in nanoseconds, and its size; zeros where it has just gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
