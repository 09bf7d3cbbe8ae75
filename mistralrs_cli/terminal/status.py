"""One line at the foot of a terminal that says what is going on."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Status:
    """A line that vanishes when stopped: a spinner, a bar if there is a total, or still text where others draw bars."""

    def __init__(self, console: Console | None, label: str, total: int | None, *, animated: bool) -> None:
        self.console = console
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        if console is None:
            return
        if animated:
            self.progress, self.task = self.draw(console, label, total)
        else:
            console.file.write(f"\r{label[: console.width - 2]}…")
            console.file.flush()

    @staticmethod
    def draw(console: Console, label: str, total: int | None) -> "tuple[Progress, TaskID]":
        """Start the live line."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [BarColumn(bar_width=20), MofNCompleteColumn()] if total is not None and total > 1 else []
        progress = Progress(
            SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
            TextColumn("{task.description}", markup=False),
            *columns,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        progress.start()
        return progress, progress.add_task(label, total=total)

    def advance(self, label: str | None = None) -> None:
        """One more is done; ``label`` may describe the next."""
        if self.progress is not None and self.task is not None:
            if label is not None:
                self.progress.update(self.task, description=label)
            self.progress.advance(self.task)

    def at(self, done: int) -> None:
        """So many of the total are done."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done)

    def show(self, label: str) -> None:
        """Something else is going on now."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, description=label)

    def quantizing(self, done: int, total: int) -> None:
        """So many weights are quantized."""
        self.show(f"Quantizing weights, {done} of {total}")

    def stop(self) -> None:
        """Clear the line; once is enough, more does no harm."""
        if self.progress is not None:
            self.progress.stop()
        elif self.console is not None:
            self.console.file.write("\r\x1b[K")
            self.console.file.flush()
        self.console = self.progress = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
