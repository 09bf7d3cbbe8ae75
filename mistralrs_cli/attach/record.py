"""What is known of each running engine: a small JSON file beside its socket, in a folder of this user's own."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import OptionError, reason
from ..folders import runtime_folder
from ..options import ModelOptions
from .identity import digest, given, watched

LONGEST = 103 if sys.platform == "darwin" else 107  # bytes of a socket's path
NAME = 24  # bytes of it that are the socket's own name


@dataclass(frozen=True)
class EngineRecord:
    """One engine. ``digest`` says what decided how it was loaded, ``watched`` the files among that.

    ``id`` is the beginning of the digest and the process's number. ``options`` are those that were given, ``notices``
    what they led to; ``modalities`` what the model reads beside text; ``downloads`` says that its weights are still on
    the hub. ``keep`` is in seconds, ``None`` for an engine that stays; ``address`` where it can be reached by others.
    """

    id: str
    process: int
    version: str
    digest: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    downloads: bool = False
    watched: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    keep: float | None = None
    address: str | None = None
    started: float = 0.0

    @property
    def socket(self) -> Path:
        """The path of its socket."""
        return runtime_folder() / f"{self.id}.sock"

    @property
    def path(self) -> Path:
        """The path of this record."""
        return runtime_folder() / f"{self.id}.json"

    def write(self) -> None:
        """Write it, in one step."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(self.path)

    def remove(self) -> None:
        """Remove it and its socket."""
        for path in (self.path, self.socket):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def record_of(options: ModelOptions, modalities: Iterable[str], folder: Path) -> EngineRecord:
    """The record of an engine in this process, whose checkpoint lies in ``folder``.

    Raises ``OptionError`` where there is no folder for it.
    """
    own_folder()
    name = digest(options)
    return EngineRecord(
        id=f"{name[:8]}-{os.getpid()}",
        process=os.getpid(),
        version=__version__,
        digest=name,
        model=options.model_id,
        options=given(options),
        modalities=tuple(modalities),
        watched=watched(options, folder),
        started=time.time(),
    )


def own_folder() -> Path:
    """The runtime folder, made if need be. Raises ``OptionError`` where there can be none that is this user's alone."""
    if not hasattr(os, "geteuid"):
        raise OptionError("Engines can be kept on Linux and macOS only.", "Use mistralrs serve.")
    folder = runtime_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(folder):
            raise OptionError(f"{folder} is not a folder that only you can open.", f"Remove it, or: chmod 700 {folder}")
    except OSError as error:
        raise OptionError(
            f"No engine can be kept: {folder} cannot be made: {reason(error)}.",
            "Name a folder of yours: MISTRALRS_RUNTIME_DIR=~/.mistralrs",
        ) from error
    if len(os.fsencode(folder)) + NAME > LONGEST:
        raise OptionError(
            f"No engine can be kept: the path {folder} is too long for a socket.",
            "Name a shorter one: MISTRALRS_RUNTIME_DIR=~/.mistralrs",
        )
    return folder


def is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and no other's: neither a link nor open to the group."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077


def records() -> list[EngineRecord]:
    """The engines that have a record, the latest first; they need not be running any more."""
    if not hasattr(os, "geteuid"):
        return []
    try:
        folder = runtime_folder()
        paths = sorted(folder.glob("*.json")) if is_private(folder) else []
    except OSError:
        return []
    found = [record for record in map(read, paths) if record is not None]
    return sorted(found, key=lambda record: record.started, reverse=True)


def read(path: Path) -> EngineRecord | None:
    """A record, if it is one of this version's."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {each.name for each in fields(EngineRecord)}
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        record = EngineRecord(**{name: value for name, value in plain.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return record if record.path == path else None
