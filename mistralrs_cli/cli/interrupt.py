"""Ctrl-C that works even while the main thread is inside a long operation of a library.

Python raises ``KeyboardInterrupt`` only between two of its own instructions. The signal itself is noted at once in
a pipe; a thread reads it there, gives the main thread a moment, and ends the process if that moment passes.
"""

import os
import select
import signal
import sys
import threading

from ..terminal.cursor import end_progress

PATIENCE = 1.0
"""Seconds the main thread has to end by itself."""


def exit_despite(code: int) -> None:
    """From now on, Ctrl-C ends the process within a moment, and a second one at once."""
    if sys.platform == "win32":
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=watch, args=(reader, code), name="interrupt", daemon=True).start()


def hand_over() -> None:
    """Leave Ctrl-C to the main thread from now on: a server ends what is running first."""
    if sys.platform != "win32":
        signal.set_wakeup_fd(-1)


def watch(reader: int, code: int) -> None:
    """Wait for the first SIGINT, then for the second or the end of patience."""
    while signal.SIGINT not in os.read(reader, 1):
        continue
    select.select([reader], [], [], PATIENCE)
    if sys.stderr is not None and sys.stderr.isatty():
        end_progress()
    os._exit(code)
