"""Lines from a pipe, and the commands around kept chats, with the demo model where meaning counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import OutOfMemory
from tests.cli.fakes import Stdin
from tests.repl.fakes import FakeEngine

Captured = pytest.CaptureFixture[str]
Pipe = Callable[..., int]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Runs ``mistralrs run`` with text on stdin."""

    def run(text: str | bytes, *words: str) -> int:
        monkeypatch.setattr(sys, "stdin", Stdin(text.encode() if isinstance(text, str) else text))
        return main(["run", *words])

    return run


def test_each_line_is_answered_about_the_same_picture(pipe: Pipe, samples: Path, capsys: Captured) -> None:
    picture = samples / "red_circle.png"
    assert pipe(f"What is in {picture}?\n\nWhich color is it?", "--temperature", "0") == 0
    captured = capsys.readouterr()
    first, second = captured.out.lower().splitlines()
    assert ("red" in first, "circle" in first, "red" in second) == (True, True, True)
    assert captured.err.splitlines() == ["note: the bundled demo model answers; -m MODEL picks another"]
    one, two = Store().latest().turns
    assert (one.usage.image_tokens, two.usage.image_tokens) == (63, 63)
    assert two.usage.cached_tokens >= one.usage.prompt_tokens


def test_commands_and_texts_of_several_lines(pipe: Pipe, fake: Callable[..., FakeEngine], capsys: Captured) -> None:
    engine = fake("Yes.")
    assert pipe('/system Be brief.\n"""one\n\ntwo"""\n/exit\nnever', "-m", "demo") == 0
    assert [message.text for message in engine.asked[0]] == ["Be brief.", "one\n\ntwo"]
    assert len(engine.asked) == 1
    assert capsys.readouterr().out == "Yes. \n"


def test_media_of_the_command_line_belong_to_the_first_line(
    pipe: Pipe, fake: Callable[..., FakeEngine], samples: Path
) -> None:
    engine = fake("Yes.")
    assert pipe("one\ntwo", "--image", str(samples / "photo.jpg"), "--audio", str(samples / "beeps.wav")) == 0
    assert [len(message.media) for message in engine.asked[1]] == [2, 0, 0]


def test_a_line_that_fails_is_told_and_the_next_is_answered(
    pipe: Pipe, fake: Callable[..., FakeEngine], capsys: Captured
) -> None:
    fake("One.", OutOfMemory("There is not enough memory."), "Three.")
    assert pipe("first\n./gone.png\nsecond\nthird\n", "-m", "demo") == 4
    captured = capsys.readouterr()
    assert captured.out == "One. \nThree. \n"
    assert [line.split(": ")[0] for line in captured.err.splitlines()] == ["error", "hint", "error"]


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        (b"", [], 2, "There is no question."),
        (b"\xff\xfe\x00", [], 2, "not text"),
        (b"x", ["--image", "gone.png"], 4, "gone.png"),
        (b"x", ["-m", "./gone"], 3, "./gone"),
        (b"x", ["--resume", "gone"], 2, "No chat is kept as gone."),
        (b"x", ["--continue"], 2, "No chat is kept yet."),
        (b"x", ["--continue", "--resume", "a"], 2, "exclude each other"),
        (b"x", ["--continue", "-i", "x"], 2, "takes no -i"),
    ],
)
def test_what_is_wrong_from_the_start_ends_it(
    text: bytes, words: list[str], code: int, said: str, pipe: Pipe, fake: Callable[..., FakeEngine], capsys: Captured
) -> None:
    engine = fake("Yes.")
    assert pipe(text, *words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert engine.asked == []


def test_kept_chats_are_listed_shown_exported_and_deleted(
    pipe: Pipe, fake: Callable[..., FakeEngine], samples: Path, tmp_path: Path, capsys: Captured
) -> None:
    engine = fake("A house.")
    pipe(f"what is in {samples / 'photo.jpg'}?", "-m", "demo", "-q")
    capsys.readouterr()
    assert main(["sessions", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[1].endswith("what is in photo.jpg?")
    name = listed[1].split()[0]
    assert main(["sessions", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sessions"][0]["id"] == name
    assert main(["sessions", "show", name[:15]]) == 0
    assert "A house." in capsys.readouterr().out
    assert main(["sessions", "export", name]) == 0
    assert capsys.readouterr().out.startswith("# what is in photo.jpg?\n")
    page = tmp_path / "page.html"
    assert main(["sessions", "export", name, str(page)]) == 0
    assert "data:image/jpeg;base64," in page.read_text()
    assert main(["sessions", "export", name, str(page)]) == 2
    assert main(["sessions", "delete", name]) == 2
    pipe("and now?", "--continue")
    assert len(engine.asked[-1]) == 3
    assert main(["sessions", "delete", "--yes", name]) == 0
    assert Store().summaries() == []
    assert main(["sessions", "show", name]) == 2


def test_a_chat_goes_on_with_the_model_it_had(
    pipe: Pipe, fake: Callable[..., FakeEngine], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("Yes.")
    pipe("one", "-m", str(root / "mistralrs_cli" / "demo"), "--dtype", "f32")
    monkeypatch.chdir("/")
    pipe("two", "--continue")
    conversation = Store().latest()
    assert [turn.model for turn in conversation.turns] == [str(root / "mistralrs_cli" / "demo")] * 2
    assert conversation.model == {"model_id": str(root / "mistralrs_cli" / "demo"), "dtype": "f32"}
