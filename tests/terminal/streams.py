"""Streams that remember what was written, and may be terminals."""

import io
import sys

import pytest

from mistralrs_cli.terminal.console import Console


class Stream(io.StringIO):
    """Text in memory, with an encoding of its own."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self.terminal = terminal
        self.named_encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.named_encoding

    def isatty(self) -> bool:
        return self.terminal


class Stdin(io.TextIOWrapper):
    """A stdin with given bytes, on a terminal or in a pipe."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def console_on(stdout: Stream | None, stderr: Stream | None, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console on these streams."""
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    return Console()
