"""Which engines run, and which of them has loaded what is asked for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..errors import EngineDown
from ..options import AttachOptions, ModelOptions
from .connection import Connection, NotOurs, Silent, ask
from .engine import AttachedEngine
from .identity import absolute, digest, given, has_capacity, unchanged
from .record import EngineRecord, records

LEAVING = 15.0
"""Seconds that an engine gets to end its running answers before it is killed."""
ENDED = (ConnectionRefusedError, FileNotFoundError)
"""What connecting raises where nothing listens any more. Anything else, as where this process has too many files open,
says nothing of the engine, whose record stays."""


def attach(
    options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None
) -> AttachedEngine | None:
    """The engine that has loaded what ``options`` ask for, if one runs.

    One that has ended without a word, as when it was killed, is forgotten, with a ``note``. There is one, too, where
    a server has the model and was not attached to: it says why.
    """
    if not how.attach:
        return None
    found = records()
    if not found:
        return None
    wanted = digest(options)
    for record in found:
        fits = record.digest == wanted and has_capacity(options, record.options)
        if fits and unchanged(record.watched):
            if alive(record):
                return AttachedEngine(record, options, keep=how.keep)
            if not record.path.exists():
                note(f"the engine of {options.model_id} (process {record.process}) has ended unexpectedly")
    if (why := why_not(options, found, wanted)) is not None:
        note(why)
    return None


def why_not(options: ModelOptions, found: Sequence[EngineRecord], wanted: str) -> str | None:
    """Why a server that has the model is not attached to; ``None`` where no server has it."""
    model = absolute(options).model_id
    for record in found:
        if record.address is None or record.model not in (options.model_id, model) or not alive(record):
            continue
        here, there = given(options), dict(record.options)
        names = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
        if record.digest == wanted and not unchanged(record.watched):
            why = "loaded it before its files changed"
        elif names:
            other = ", ".join(f"--{name.replace('_', '-')} {there.get(name, 'unset')}" for name in names)
            why = f"has it with other options ({other})"
        else:
            why = "has it from another installation or environment"
        return f"the server at {record.address} {why}, so {options.model_id} is loaded here"
    return None


def alive(record: EngineRecord) -> bool:
    """Whether something of ours listens on its socket; a record of what has ended is removed."""
    try:
        Connection(record.socket).close()
    except TimeoutError:
        return True
    except ENDED:
        record.remove()
        return False
    except (OSError, NotOurs):
        return False
    return True


def engines() -> list[tuple[EngineRecord, dict[str, Any] | None]]:
    """The engines that run, the latest first, with what each says of itself; ``None`` for one that is stuck."""
    found: list[tuple[EngineRecord, dict[str, Any] | None]] = []
    for record in records():
        try:
            status, said = ask(record.socket, "GET", "/engine/status")
            found.append((record, said if status == 200 else None))
        except Silent:
            found.append((record, None))
        except ENDED:
            record.remove()
        except (OSError, NotOurs):
            continue
    return found


def stop(record: EngineRecord, waiting: Callable[[], None] = lambda: None) -> None:
    """End an engine: it ends what it answers, and is killed where it does not end within ``LEAVING`` seconds.

    Raises ``EngineDown`` where it cannot be ended.
    """
    try:
        connection = Connection(record.socket)
    except TimeoutError:
        process: int | None = record.process
    except ENDED:
        record.remove()
        return
    except (OSError, NotOurs) as error:
        raise EngineDown(
            f"The engine of {record.model} (process {record.process}) cannot be asked.", "Try again."
        ) from error
    else:
        process = connection.peer.process or record.process
        connection.close()
    try:
        ask(record.socket, "POST", "/engine/stop")
        stuck = False
    except Silent:
        stuck = True
    except OSError:
        stuck = False
    if not stuck and gone(record, LEAVING, waiting):
        record.remove()  # it does so itself, a moment later
        return
    if process is not None and process != os.getpid():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if not gone(record, LEAVING, waiting):
        raise EngineDown(f"The engine of {record.model} (process {process}) does not end.", f"Try: kill -9 {process}")
    record.remove()


def unload(record: EngineRecord) -> None:
    """Have a server that has other models, too, unload this one. Raises ``EngineDown`` where it cannot be asked."""
    try:
        ask(record.socket, "POST", "/engine/unload")
    except (OSError, NotOurs, Silent) as error:
        raise EngineDown(
            f"The engine of {record.model} (process {record.process}) cannot be asked.", "Try again."
        ) from error


def gone(record: EngineRecord, seconds: float, waiting: Callable[[], None]) -> bool:
    """Whether nothing listens on its socket any more, within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        waiting()
        try:
            Connection(record.socket).close()
        except TimeoutError:
            pass
        except (OSError, NotOurs):
            return True
        time.sleep(0.05)
    return False
