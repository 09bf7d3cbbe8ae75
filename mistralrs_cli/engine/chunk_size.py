"""How much of a prompt is prefilled between two decode steps."""

from __future__ import annotations

SECONDS = 0.5  # a short pause for a reader; smaller chunks make long prompts slower
SHORT = 0.05  # what an interactive request waits for the prompt of a batch
STEPS = 12  # decode steps; then the steps in between make a prompt take about a twelfth longer, not more
FIRST = 256  # tokens, until it is known how long they take
LEAST = 32
RECENT = 0.5  # weight of the latest measurement


class ChunkSize:
    """A chunk takes half a second, or as long as twelve decode steps where those are slow.

    A fixed count of tokens would be a hundredth of that on a large GPU, and a minute on a small CPU.
    """

    def __init__(self) -> None:
        self._tokens_per_second = 0.0
        self._step_seconds = 0.0

    @property
    def seconds(self) -> float:
        """How long a chunk should take."""
        return max(SECONDS, STEPS * self._step_seconds)

    @property
    def tokens(self) -> int:
        """How many tokens of a prompt take that long."""
        return max(LEAST, int(self.seconds * self._tokens_per_second)) if self._tokens_per_second else FIRST

    @property
    def short(self) -> int:
        """How many tokens take no longer than an interactive request may wait for the prompt of a batch."""
        return max(LEAST, int(SHORT * self._tokens_per_second))

    def prefilled(self, tokens: int, seconds: float) -> None:
        """Learn how long a chunk took, if it was one that tells."""
        if tokens < LEAST:
            return
        self._tokens_per_second = recent(self._tokens_per_second, tokens / max(seconds, 1e-6))

    def decoded(self, seconds: float) -> None:
        """Learn how long a decode step of all groups took."""
        self._step_seconds = recent(self._step_seconds, seconds)


def recent(average: float, latest: float) -> float:
    """A moving average with one more value."""
    return latest if not average else average + RECENT * (latest - average)
