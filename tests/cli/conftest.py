"""Every test here: a fake model unless it says otherwise, and a silent stdin."""

import sys

import pytest

from .fakes import FakeStack, Stdin, install


@pytest.fixture(autouse=True)
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty pipe."""
    monkeypatch.setattr(sys, "stdin", Stdin())


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """A fake model in place of loading and engine."""
    stack = FakeStack()
    install(stack, monkeypatch)
    return stack
