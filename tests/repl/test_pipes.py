"""Lines from a pipe, and the commands around kept chats, with the demo model where meaning counts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import ContextOverflow, OutOfMemory, UnsupportedModality
from mistralrs_cli.events import Done, Event, Timing, Usage
from mistralrs_cli.messages import Message
from tests.repl.conftest import Fake, Given
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]
Pipe = Callable[..., int]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, given: Given) -> Pipe:
    """Runs ``mistralrs run`` with text on stdin."""

    def run(text: str | bytes, *words: str) -> int:
        monkeypatch.setattr(sys, "stdin", Stdin(text.encode() if isinstance(text, str) else text))
        return main(["run", *words], given.models)

    return run


def test_each_line_is_answered_about_the_same_picture(pipe: Pipe, samples: Path, capsys: Captured) -> None:
    picture = samples / "red_circle.png"
    assert pipe(f"What is in {picture}?\n\nWhich color is it?", "--temperature", "0") == 0
    captured = capsys.readouterr()
    first, second = captured.out.lower().splitlines()
    assert ("red" in first, "circle" in first, "red" in second) == (True, True, True)
    assert captured.err.splitlines() == ["note: using the bundled demo model; choose another with -m MODEL"]
    one, two = Store().latest().turns
    assert (one.usage.image_tokens, two.usage.image_tokens) == (63, 63)
    assert two.usage.cached_tokens >= one.usage.prompt_tokens


def test_commands_and_texts_of_several_lines(pipe: Pipe, fake: Fake, capsys: Captured) -> None:
    engine = fake("Yes.")
    assert pipe('/system Be brief.\n"""one\n\ntwo"""\n/exit\nnever', "-m", "demo") == 0
    assert [message.text for message in engine.asked[0]] == ["Be brief.", "one\n\ntwo"]
    assert len(engine.asked) == 1
    assert capsys.readouterr().out == "Yes. \n"


def test_media_of_the_command_line_belong_to_the_first_line(pipe: Pipe, fake: Fake, samples: Path) -> None:
    engine = fake("Yes.")
    assert pipe("one\ntwo", "--image", str(samples / "photo.jpg"), "--audio", str(samples / "beeps.wav")) == 0
    assert [len(message.media) for message in engine.asked[1]] == [2, 0, 0]


def test_a_line_that_fails_is_told_and_the_next_is_answered(pipe: Pipe, fake: Fake, capsys: Captured) -> None:
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
        (b"x", ["--resume", "gone"], 2, "No chat is saved as gone."),
        (b"x", ["--continue"], 2, "No chat is saved yet."),
        (b"x", ["--continue", "--resume", "a"], 2, "exclude each other"),
        (b"x", ["--continue", "--no-stdin"], 2, "takes no --no-stdin"),
    ],
)
def test_what_is_wrong_from_the_start_ends_it(
    text: bytes, words: list[str], code: int, said: str, pipe: Pipe, fake: Fake, capsys: Captured
) -> None:
    engine = fake("Yes.")
    assert pipe(text, *words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert engine.asked == []


def test_kept_chats_are_listed_shown_exported_and_deleted(
    pipe: Pipe, fake: Fake, samples: Path, tmp_path: Path, capsys: Captured
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
    pipe: Pipe, fake: Fake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("Yes.")
    pipe("one", "-m", str(root / "mistralrs_cli" / "demo"), "--dtype", "f32")
    monkeypatch.chdir("/")
    pipe("two", "--continue")
    conversation = Store().latest()
    assert [turn.model for turn in conversation.turns] == [str(root / "mistralrs_cli" / "demo")] * 2
    assert conversation.model == {"model_id": str(root / "mistralrs_cli" / "demo"), "dtype": "f32"}


def test_json_is_an_object_on_a_line_for_each(pipe: Pipe, fake: Fake, samples: Path, capsys: Captured) -> None:
    """Each line is what it is without --json: files that it names are looked at."""
    picture = samples / "photo.jpg"
    engine = fake("One.", "Two.", OutOfMemory("There is not enough memory.", "Send less."), "Four.")
    assert pipe(f"What is in {picture}?\ntwo\nthree\nfour\n", "-m", "demo", "--json") == 3
    shown = capsys.readouterr()
    first, second, failed, fourth = map(json.loads, shown.out.splitlines())
    assert [first["answer"], second["answer"], fourth["answer"]] == ["One. ", "Two. ", "Four. "]
    assert [medium["source"] for medium in first["media"]] == [str(picture)]
    assert (second["media"], second["finish_reason"]) == ([], "stop")
    assert failed == {"error": "There is not enough memory.", "hint": "Send less.", "exit_code": 3}
    assert [len(message.media) for message in engine.asked[0]] == [1]
    assert shown.err.splitlines()[0] == "error: There is not enough memory."


def test_json_has_an_object_for_a_question_and_none_without(
    pipe: Pipe, fake: Fake, samples: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake("Yes.")
    assert pipe("one\n", "-m", "demo", "--json", "--audio", str(samples / "beeps.wav")) == 0
    assert json.loads(capsys.readouterr().out)["media"][0]["kind"] == "audio"
    assert len(engine.asked) == 1
    assert pipe("", "-m", "demo", "--json") == 2
    monkeypatch.setattr(sys, "stdin", Stdin(terminal=True))
    assert main(["run", "-m", "demo", "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("error: There is no question.") == 2


def test_who_pipes_lines_hears_of_no_commands_of_the_chat(
    pipe: Pipe, fake: Fake, samples: Path, capsys: Captured
) -> None:
    def cut(messages: Sequence[Message]) -> Iterator[Event | str]:
        yield Done("length", Usage(990, 3), Timing(0.1, 0.2))

    fake(
        cut,
        ContextOverflow("The prompt is too long."),
        UnsupportedModality("It is deaf.", "Try -m other, or --image X"),
    )
    assert pipe(f"one\n{samples / 'clip.gif'}\nthree\n", "-m", "demo") == 5
    said = capsys.readouterr().err
    assert "--max-tokens" in said or "context is full" in said
    assert "hint: Try -m other, or --image X" in said
    assert "--video-frames 8" in said
    assert not re.search(r"(?<![\w/.])/(set|retry|undo|clear|drop|image|model)\b", said)


@pytest.mark.parametrize("words", [(), ("-q",), ("--json",)])
def test_a_line_whose_constrained_answer_was_cut_is_5(
    words: tuple[str, ...], pipe: Pipe, fake: Fake, capsys: Captured
) -> None:
    def cut(messages: Sequence[Message]) -> Iterator[Event | str]:
        yield "ab"
        yield Done("length", Usage(9, 2), Timing(0.1, 0.2), incomplete=True)

    fake(cut, "abc")
    assert pipe("one\ntwo\n", "-m", "demo", "--regex", "abc", *words) == 5
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert shown.err.splitlines()[0] == (
        "error: The answer was cut after 2 tokens, so it is not all that the regular expression asks for."
    )


def test_one_more_question_from_the_shell(fake: Fake, pipe: Pipe, samples: Path, capsys: Captured) -> None:
    engine = fake("Yes.", "Two.", "Three.", "Four.")
    picture = str(samples / "red_circle.png")
    assert pipe("What is it?", "--image", picture) == 0
    capsys.readouterr()
    assert pipe("", "--continue", "-i", f"And is {picture} a name?") == 0
    assert capsys.readouterr() == ("Two. \n", "")
    assert [len(message.media) for message in engine.asked[-1]] == [1, 0, 0]
    assert engine.asked[-1][-1].text == f"And is {picture} a name?"
    turns = Store().latest().turns
    assert [turn.answer for turn in turns] == ["Yes. ", "Two. "]
    name = Store().latest().id
    words = ("--resume", name, "--image", picture, "--json", "-i", "And this one?")
    assert pipe("Piped.\n", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], len(found["media"])) == ("Three. ", 1)
    assert engine.asked[-1][-1].text == "Piped.\nAnd this one?"
    assert pipe(Path(picture).read_bytes(), "--continue", "--image", "-", "-i", "And this?") == 0
    assert [len(turn.question.media) for turn in Store().latest().turns] == [1, 0, 1, 1]


def test_what_goes_wrong_with_one_more_question_leaves_the_chat_as_it_was(
    fake: Fake, pipe: Pipe, capsys: Captured
) -> None:
    fake("Yes.", OutOfMemory("There is not enough memory."), ["No", KeyboardInterrupt()])
    assert pipe("", "--continue", "-i", "x") == 2
    assert "No chat is saved yet." in capsys.readouterr().err
    assert pipe("What is it?") == 0
    assert pipe("", "--continue", "-i", "And?") == 3
    assert len(Store().latest().turns) == 1
    assert pipe("", "--continue", "-i", "") == 2
    assert pipe("", "--continue", "--dry-run", "-i", "x") == 2
    assert pipe("", "--resume", "-i", "x") == 2
    assert "--resume needs the id" in capsys.readouterr().err


def test_a_cut_constrained_answer_of_one_more_question_is_an_error(fake: Fake, pipe: Pipe, capsys: Captured) -> None:
    fake("Yes.", '{"a"', done=Done("length", Usage(completion_tokens=2), Timing(), incomplete=True))
    assert pipe("What is it?") == 0
    assert pipe("", "--continue", "--regex", "a+", "-i", "And?") == 5
    assert len(Store().latest().turns) == 2
