"""A chat that is killed at any moment is there again: finished turns, the question, and nearly all of the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistralrs_cli.conversation import CUT
from mistralrs_cli.conversation.store import Store
from tests.repl.crashes import LINES, WORDS

pytestmark = pytest.mark.slow

KILLS = 40
BEHIND = 0.4
"""Seconds of text that may be lost: the interval of writing, which is 0.02 here, and what a busy machine adds."""

WHOLE = "".join(f"w{number} " for number in range(WORDS))


def test_a_chat_that_is_killed_is_there_again(tmp_path: Path, samples: Path, root: Path) -> None:
    here = tmp_path / "here"
    here.mkdir(exist_ok=True)
    for name, sample in {"a.png": "red_circle.png", "b.png": "photo.jpg"}.items():
        (here / name).write_bytes((samples / sample).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "tests.repl.crashes", str(tmp_path), str(KILLS)],
        cwd=here, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    chats = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(chats) == KILLS
    running = [examine(chat, here) for chat in chats]
    assert {begun for begun, _ in running} == {*range(len(LINES) + 1)}  # some before the first word, some in each
    late = [kept for _, kept in running if kept is not None]
    assert len(late) > KILLS / 4
    assert sum(late) > len(late) / 2  # a machine that stalls may keep a thread from writing


def examine(chat: dict[str, object], here: Path) -> tuple[int, bool | None]:
    """How many answers a killed chat had begun to show, and whether nearly all of the last one was kept.

    ``None`` is for a last one that had just begun.
    What is promised of them however slow the machine is, is checked.
    """
    shown: list[tuple[float, str]] = chat["shown"]  # type: ignore[assignment]
    text = "".join(data for _, data in shown)
    early = "".join(data for moment, data in shown if moment < float(str(chat["killed"])) - BEHIND)
    store = Store(Path(str(chat["folder"])))
    assert [summary.turns for summary in store.summaries() if not summary.model] == []  # no file is damaged
    begun = len([line for line in text.split("\n") if line])
    if not begun:
        return 0, None
    conversation = store.latest()
    turns = conversation.turns
    assert len(turns) in (begun, begun + 1), text
    assert [turn.typed for turn in turns] == LINES[: len(turns)]
    assert [(turn.answer, turn.cut) for turn in turns[: begun - 1]] == [(WHOLE, False)] * (begun - 1)
    last = turns[begun - 1]
    lines = early.split("\n")
    seen = lines[begun - 1] if len(lines) >= begun else ""
    assert last.answer.startswith(seen) or seen.startswith(last.answer)
    assert WHOLE.startswith(last.answer) or begun == len(LINES)
    if last.cut:
        assert last.reply.text == last.answer + CUT
    for turn, media in zip(turns[:begun], (["a.png"], ["b.png", "a.png"], []), strict=False):
        assert [medium.source for medium in turn.question.media] == media
        assert all(store.read(medium) == (here / medium.source).read_bytes() for medium in turn.question.media)
        assert all(store.media.is_whole(str(medium.digest)) for medium in turn.question.media)
    return begun, last.answer.startswith(seen) if seen else None
