"""An answer as rendered Markdown on a terminal, after the thoughts before it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

from rich.text import Text

from ..events import Event, ReasoningDelta, TextDelta
from .console import Console, without_controls
from .markdown import INTERVAL, MarkdownView
from .plain import Thoughts
from .region import Region
from .theme import ThemeName

GLIMPSE = 6  # lines of a thought while it is thought
NARROW = 60  # columns below which words are saved


class RenderedView:
    """Rendered Markdown. A thought is shown dim while it lasts, then folded into one line, unless it is to stay."""

    def __init__(self, console: Console, thoughts: Thoughts = "fold", colors: ThemeName = "auto") -> None:
        assert console.stdout is not None
        self.thoughts = thoughts
        self.view = MarkdownView(console.stdout, color=not console.stderr.no_color, colors=colors)
        self.region = Region(console.stdout)
        self.reasoning = ""
        self.begun = 0.0
        self.drawn = 0.0
        self.before: object = None
        if hasattr(signal, "SIGCONT") and threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGCONT, self.resumed)

    def resumed(self, number: int, frame: FrameType | None) -> None:
        """After Ctrl-Z and fg the shell has written below what was shown, which is left there."""
        self.region.shown = []
        self.view.region.shown = []

    def show(self, event: Event) -> None:
        """Draw it."""
        match event:
            case ReasoningDelta(text) if text:
                self.begun = self.begun or time.monotonic()
                self.reasoning += without_controls(text)
                if self.thoughts != "hide" and time.monotonic() - self.drawn >= INTERVAL:
                    width = self.view.size[0]
                    self.region.draw(self.dim(self.reasoning, width)[-GLIMPSE:])
                    self.drawn = time.monotonic()
            case TextDelta(text) if text:
                self.end_thought()
                self.view.push(without_controls(text))
            case _:
                pass

    def dim(self, text: str, width: int) -> list[str]:
        """A thought as dim lines."""
        paper = self.view.paper
        rows = [row.plain.rstrip() for row in Text(text.strip()).wrap(paper, max(10, width - 3), tab_size=4)]
        return [f"\x1b[2m{'│ ' if row else '│'}{row}\x1b[0m" for row in rows]

    def end_thought(self) -> None:
        """Fold it, or leave it standing."""
        if not self.begun:
            return
        width = self.view.size[0]
        match self.thoughts:
            case "fold":
                way = "Ctrl-T or /thought" if width >= NARROW else "Ctrl-T"
                words = f"thought for {time.monotonic() - self.begun:.1f} s; {way} shows it"
                self.region.keep([*self.dim(words, width), ""])
            case "show":
                self.region.keep([*self.dim(self.reasoning, width), ""])
            case "hide":
                pass
        self.reasoning, self.begun = "", 0.0

    def close(self) -> None:
        """Leave what was shown."""
        self.end_thought()
        self.view.close()
        if self.before is not None:
            signal.signal(signal.SIGCONT, self.before)  # type: ignore[arg-type]
            self.before = None
