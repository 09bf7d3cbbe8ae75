"""How far a run is: rows done and failed, how fast, and how long the rest may take."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from .rows import Result

RECENT = 200
"""Rows that the rate is measured over."""


class Pace:
    """How many are done in a second, of late."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.recent: deque[float] = deque(maxlen=RECENT)

    def add(self) -> None:
        """One more is done."""
        self.recent.append(time.monotonic())

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return max(time.monotonic() - self.begun, 1e-6)

    @property
    def rate(self) -> float:
        """Rows a second; 0 before the first."""
        if not self.recent:
            return 0.0
        since = self.begun if len(self.recent) < RECENT else self.recent[0]
        return len(self.recent) / max(self.recent[-1] - since, 1e-6)


@dataclass
class Tally:
    """Counts of a run of ``total`` rows, ``before`` of which an earlier run had done."""

    total: int
    before: int = 0
    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pace: Pace = field(default_factory=Pace)

    def add(self, result: Result) -> None:
        """One more row is done."""
        if result.error is None:
            self.answered += 1
        else:
            self.failed += 1
        if result.reply is not None:
            self.prompt_tokens += result.reply.usage.prompt_tokens
            self.completion_tokens += result.reply.usage.completion_tokens
        self.pace.add()

    @property
    def done(self) -> int:
        """Rows of this run that are done."""
        return self.answered + self.failed

    @property
    def left(self) -> int:
        """Rows that are not done."""
        return self.total - self.before - self.done

    @property
    def seconds_left(self) -> float | None:
        """How long the rest may take."""
        return self.left / self.pace.rate if self.pace.rate else None
