"""How far a long run is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LOG_EVERY = 60.0
"""Seconds between two lines of a log."""


class RowProgress:
    """Shows how many of ``total`` rows are done, how many failed, the rate, and the time that is left.

    Where rows are ``printed`` to the same terminal there is no bar, which would tear them.
    """

    def __init__(self, console: Console, total: int, done: int = 0, *, printed: bool = False) -> None:
        self.console = console
        self.total = total
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.logged = time.monotonic()
        shared = printed and console.stdout is not None and console.stdout.isatty()
        if console.interactive and not console.still and not shared:
            self.progress, self.task = self._draw(done)

    def _draw(self, done: int) -> tuple[Progress, TaskID]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        terminal = self.console.stderr
        progress = Progress(
            SpinnerColumn("dots" if terminal.encoding.startswith("utf") else "line"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        progress.start()
        return progress, progress.add_task("", total=self.total, completed=done)

    def update(self, done: int, failed: int, rate: float, seconds_left: float | None) -> None:
        """So many rows are done in all."""
        said = words(failed, rate, seconds_left)
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, description=said)
        elif not self.console.interactive and time.monotonic() - self.logged >= LOG_EVERY:
            self.logged = time.monotonic()
            self.console.note(f"{done:,} of {self.total:,} rows, {said}")

    def stop(self) -> None:
        """Clear the bar."""
        if self.progress is not None:
            self.progress.stop()
        self.progress = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def words(failed: int, rate: float, seconds_left: float | None) -> str:
    """``2.4 rows/s, 1:20 left, 3 failed``."""
    found = [per_second(rate)] if rate else []
    if seconds_left is not None:
        found.append(f"{clock(seconds_left)} left")
    if failed:
        found.append(f"{failed:,} failed")
    return ", ".join(found)


def per_second(rate: float) -> str:
    """``2.4 rows/s``, or ``12 rows/min`` where they are slow."""
    return f"{rate:,.1f} rows/s" if rate >= 1 else f"{rate * 60:,.1f} rows/min"


def clock(seconds: float) -> str:
    """``1:20``, ``2:03:05``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
