"""The list to choose a kept chat from."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mistralrs_cli.conversation import Conversation, Turn
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.repl.picker import Picker
from tests.fake_model import FakeModels
from tests.repl.conftest import CLEAR, ENTER, LEAVE, TAB, Fake, Type
from tests.repl.test_chat import asked

UP, DOWN = "\x1b[A", "\x1b[B"


@pytest.fixture
def three(fake: Fake, monkeypatch: pytest.MonkeyPatch, data: Path) -> FakeModels:
    """Three kept chats, the last one about boats."""
    monkeypatch.setenv("TERM", "xterm")
    for number, question in enumerate(("about trees", "about houses", "about boats")):
        turn = Turn(Message("user", (Text(question),)), "Yes.", typed=question, model="demo")
        Store().save(Conversation(id=f"2026031{number}-0915", turns=[turn], model={"model_id": "demo"}))
        moment = 1_800_000_000 + number
        os.utime(data / "sessions" / f"2026031{number}-0915.json", (moment, moment))
    return fake("Yes.")


def test_what_is_searched_for_and_chosen(three: FakeModels) -> None:
    picker = Picker(Store().summaries())
    assert [line.split("  ")[1] for _, line in picker.found] == ["about boats", "about houses", "about trees"]
    picker.move(99)
    assert picker.chosen == "20260310-0915"
    chosen = {}
    for words in ("demo HOUSES", "2", "20260312"):
        picker.look(words)
        chosen[words] = picker.chosen
    assert chosen == {"demo HOUSES": "20260311-0915", "2": None, "20260312": "20260312-0915"}  # 2 is in every date
    picker.look("")
    picker.move(2)
    assert [fragment[0] for fragment in picker.shown(2) if fragment[1].startswith(">")] == ["bold"]
    assert "about trees" in picker.shown(2)[1][1]


@pytest.mark.parametrize(
    ("keys", "found"),
    [([ENTER], "about boats"), ([DOWN, DOWN, UP, ENTER], "about houses"), (["TREE about", ENTER], "about trees")],
)
def test_a_chat_is_chosen_from_a_list(keys: list[str], found: str, three: FakeModels, typed: Type) -> None:
    typed("".join(keys), "go on", LEAVE, words="--resume")
    assert asked(three) == [found, "Yes.", "go on"]
    typed("/load", "".join(keys), "and on", LEAVE, words="-m demo")
    assert asked(three)[-1] == "and on"
    assert len(asked(three)) in (3, 5)


def test_none_may_be_chosen(three: FakeModels, typed: Type) -> None:
    assert typed(CLEAR, words="--resume").code == 0
    session = typed("/load", CLEAR, "new", LEAVE, words="-m demo")
    assert asked(three) == ["new"]
    assert session.code == 0


def test_where_nothing_can_be_redrawn_chats_are_listed(three: FakeModels, typed: Type, data: Path) -> None:
    session = typed("/load", "new", LEAVE)
    assert re.findall(r"  (about \w+)  \(demo, 1 turn\)\n", session.err) == [
        "about boats",
        "about houses",
        "about trees",
    ]
    assert asked(three) == ["new"]
    session = typed(words="--plain --resume")
    assert session.code == 2
    assert "about boats" in session.err
    assert "hint: Choose one: mistralrs run --resume ID" in session.err


def test_tab_after_load_finds_chats_by_their_question(three: FakeModels, typed: Type) -> None:
    typed("/load tree" + TAB, "go on", LEAVE)
    assert asked(three) == ["about trees", "Yes.", "go on"]
