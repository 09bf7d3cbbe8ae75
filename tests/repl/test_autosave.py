"""A chat keeps its word: what was asked and answered is on the disk, whatever ends the chat."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prompt_toolkit.history import FileHistory

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation import CUT
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.messages import Message
from mistralrs_cli.repl import autosave
from tests.repl.conftest import CLEAR, LEAVE, Fake, Type
from tests.repl.test_chat import asked
from tests.repl.test_terminal import Terminal

pytestmark = pytest.mark.slow

PATIENCE = 30.0


def until(true: Callable[[], object]) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def looking(words: Sequence[str], look: Callable[[], None]) -> Callable[[Sequence[Message]], Iterator[str]]:
    """An answer before whose last word something is looked at."""

    def answer(messages: Sequence[Message]) -> Iterator[str]:
        yield from words[:-1]
        look()
        yield words[-1]

    return answer


def test_question_and_answer_are_on_the_disk_while_it_grows(
    typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosave, "INTERVAL", 0.01)

    def look() -> None:
        until(lambda: Store().latest().turns[0].answer == "One, two,")
        (turn,) = Store().latest().turns
        assert (turn.typed, turn.cut) == ("what is in photo.jpg?", True)
        assert Store().read(turn.question.media[0]) == (files / "photo.jpg").read_bytes()

    engine = fake(looking(["One,", " two,", " three."], look))
    typed("what is in photo.jpg?", LEAVE)
    assert len(engine.asked) == 1
    (turn,) = Store().latest().turns
    assert (turn.answer, turn.cut) == ("One, two, three.", False)


def test_the_question_is_there_before_a_word_of_the_answer_is_shown(typed: Type, fake: Fake, files: Path) -> None:
    seen: list[tuple[str, int]] = []
    fake(looking(["One", "two"], lambda: seen.extend((t.typed, len(t.question.media)) for t in Store().latest().turns)))
    typed("what is in photo.jpg?", LEAVE)
    assert seen == [("what is in photo.jpg?", 1)]


def test_a_line_is_on_the_disk_while_its_media_are_read(
    typed: Type, fake: Fake, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistralrs_cli.repl.attachments import Attachments

    monkeypatch.setattr(autosave, "INTERVAL", 0.01)
    read, seen = Attachments.read_line, []

    def slow(self: Attachments, *words: object) -> Message:
        until(lambda: Store().summaries() and Store().latest().turns[-1].typed == words[0])
        seen.append(Store().latest().turns[-1].question.text)
        return read(self, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Attachments, "read_line", slow)
    fake("Yes.")
    typed("what is in photo.jpg?", "./gone.png", CLEAR, LEAVE)
    assert seen == ["what is in photo.jpg?", "./gone.png"]
    assert [turn.typed for turn in Store().latest().turns] == ["what is in photo.jpg?"]


def test_a_first_question_that_fails_leaves_no_chat(typed: Type, fake: Fake) -> None:
    def fails(messages: Sequence[Message]) -> Iterator[str]:
        yield "half"
        assert len(Store().summaries()) == 1
        raise RuntimeError("the ground opened")

    fake(fails, "Yes.")
    assert typed("first", CLEAR, LEAVE).kept.summaries() == []
    typed("second", "/undo", CLEAR, LEAVE)
    assert Store().summaries() == []


def test_while_it_is_asked_again_the_old_answer_stays(typed: Type, fake: Fake) -> None:
    seen: list[list[tuple[str, bool]]] = []
    fake("One.", looking(["Two", "."], lambda: seen.append([(t.answer, t.cut) for t in Store().latest().turns])))
    typed("first", "/retry", LEAVE)
    assert seen[0][0] == ("One. ", False)
    assert [cut for _, cut in seen[0]] == [False, True]
    assert [turn.answer for turn in Store().latest().turns] == ["Two."]


def test_an_answer_that_was_cut_is_shown_so_and_asked_again(typed: Type, fake: Fake) -> None:
    def endless(messages: Sequence[Message]) -> Iterator[str]:
        yield "half of"
        os.kill(os.getpid(), signal.SIGINT)
        yield from iter(lambda: "…", "")

    engine = fake(endless, "Whole.")
    typed("first", LEAVE)
    session = typed("/retry", LEAVE, words="--plain --continue")
    assert "> first half of (stopped here; /retry asks again)" in session.notes
    assert asked(engine) == ["first"]
    assert [turn.answer for turn in Store().latest().turns] == ["Whole. "]


@pytest.mark.parametrize(
    ("how", "number", "code"),
    [
        ("answering", signal.SIGTERM, 143),
        ("answering", signal.SIGHUP, 129),
        ("reading", signal.SIGTERM, 143),
        ("loading", signal.SIGHUP, 129),
        ("stuck", signal.SIGTERM, 143),
    ],
)
def test_signals_end_the_process_and_keep_the_turn(
    how: str, number: int, code: int, data: Path, files: Path, root: Path
) -> None:
    chat = subprocess.Popen(
        [sys.executable, "-m", "tests.repl.waiting", how, "run", "-m", "demo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert chat.stdin is not None
    assert chat.stdout is not None
    assert chat.stderr is not None
    chat.stdin.write(b"what is in photo.jpg?\n")
    seen = b""
    if how == "answering":
        while len(seen) < 40:
            seen += chat.stdout.read(40)
    elif how == "stuck":
        assert chat.stderr.readline() == b"stuck\n"
    until(lambda: Store().summaries() and Store().latest().media)
    chat.send_signal(number)
    out, err = chat.communicate(timeout=PATIENCE)
    assert (chat.returncode, err) == (code, b"")
    (turn,) = Store().latest().turns
    assert (turn.typed, turn.cut) == ("what is in photo.jpg?", True)
    assert turn.answer == (seen + out).decode().removesuffix("\n")
    assert turn.reply.text.endswith(CUT)
    assert Store().read(turn.question.media[0]) == (files / "photo.jpg").read_bytes()


def test_two_that_go_on_with_one_chat_become_two_and_say_so(typed: Type, fake: Fake) -> None:
    def meanwhile() -> None:
        store = Store()
        other = store.latest()
        other.turns = [*other.turns, *other.turns]
        store.save(other)

    fake("One.", looking(["Two", "."], meanwhile), "Three.")
    session = typed("first", "second", "third", LEAVE)
    assert session.notes.count("another process continued this chat, so yours is saved separately: ") == 1
    typings = [[turn.typed for turn in Store().load(chat.id).turns] for chat in Store().summaries()]
    assert typings[0] == ["first", "second", "third"]
    assert len(typings) == 2


def lose(data: Path, files: Path) -> None:
    """Take a picture away: the kept bytes, and the file it came from."""
    medium = next(medium for medium in Store().latest().media if medium.source == "photo.jpg")
    (data / "media" / str(medium.digest)).unlink()
    (files / "photo.jpg").unlink()


def test_a_lost_medium_costs_that_medium_only(typed: Type, fake: Fake, files: Path, data: Path) -> None:
    engine = fake("One.")
    typed("is photo.jpg like red_circle.png?", "/image photo.jpg", "and beeps.wav?", LEAVE)
    lose(data, files)
    session = typed("go on", "/media", "/save chat", "/export page.html", LEAVE, words="--plain --continue")
    assert session.notes.count("note: photo.jpg is gone: that image is left out") == 3
    assert asked(engine) == [
        "is [image photo.jpg: no longer available] like <image red_circle.png>?", "One. ",
        "[image photo.jpg: no longer available]and <audio beeps.wav>?", "One. ", "go on",
    ]  # fmt: skip
    assert "in the conversation: photo.jpg (left out), red_circle.png, photo.jpg (left out), beeps.wav" in session.notes
    assert "[image photo.jpg: no longer available]" in (files / "page.html").read_text()
    assert (files / "page.html").read_text().count("data:image/png;base64,") == 1
    engine = fake("Two.")
    assert "photo.jpg is gone: that image is left out" in typed("/load chat", "more", LEAVE).notes
    assert len(engine.asked[0]) == 7
    assert main(["sessions", "export", Store().latest().id, "other.html"]) == 0
    assert "[image photo.jpg: no longer available]" in (files / "other.html").read_text()


def test_a_damaged_medium_is_left_out_until_it_is_given_again(typed: Type, fake: Fake, files: Path, data: Path) -> None:
    engine = fake("One.")
    typed("what is photo.jpg?", LEAVE)
    (medium,) = Store().latest().media
    picture = (files / "photo.jpg").read_bytes()
    (data / "media" / str(medium.digest)).write_bytes(picture[:100])
    (files / "photo.jpg").rename(files / "renamed.jpg")
    session = typed("and renamed.jpg?", LEAVE, words="--plain --continue")
    assert "note: photo.jpg was changed on the disk: that image is left out" in session.notes
    assert asked(engine)[-1] == "and <image renamed.jpg>?"
    typed("now", LEAVE, words="--plain --continue")
    assert asked(engine)[0] == "what is <image photo.jpg>?"


def test_media_that_cannot_be_stored_are_held_and_tried_again(typed: Type, fake: Fake, files: Path, data: Path) -> None:
    fake("Yes.")
    data.mkdir()
    (data / "media").write_text("a file where the folder should be")
    session = typed("what is photo.jpg?", "and red_circle.png?", "/save chat", LEAVE)
    assert session.notes.count("photo.jpg cannot be saved in") == 1
    assert session.notes.count("photo.jpg, red_circle.png cannot be saved in") == 1
    assert "/save FILE on another disk keeps it; every question tries again." in session.notes
    assert "Ctrl-D again" not in session.notes  # it was rescued by /save
    assert [turn.typed for turn in Store().latest().turns] == ["what is photo.jpg?", "and red_circle.png?"]
    (data / "media").unlink()
    for path in (files / "photo.jpg", files / "red_circle.png"):
        path.unlink()
    assert "left out" not in typed("/load chat", "go on", LEAVE).notes
    assert "left out" not in typed("go on", LEAVE, words="--plain --continue").notes


def test_a_chat_that_is_not_saved_is_not_left_without_a_word(typed: Type, fake: Fake, data: Path) -> None:
    fake("Yes.")
    data.write_text("a file where the folder should be")
    session = typed("first", "/clear", CLEAR, "/exit", "/save chat", LEAVE)
    assert "/save FILE on another disk keeps it; once more goes on without it." in session.notes
    assert session.notes.count("/save FILE on another disk keeps it; Ctrl-D again leaves without it.") == 1
    assert "saved; resume with: mistralrs run --continue" not in session.notes
    data.unlink()
    session = typed("/load chat", "second", LEAVE)
    assert "saved; resume with: mistralrs run --continue" in session.notes


def test_save_and_load_agree_on_names(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    (files / "notes.txt").write_text("mine")
    (files / "folder").mkdir()
    session = typed("first", "/save notes.txt", CLEAR, "/save new.txt", CLEAR, "/save chat1", "second", "/save chat1",
                    "/save folder", "/clear", "other", "/save chat1", CLEAR, "/load chat1", "third", LEAVE)  # fmt: skip
    assert session.notes.count("notes.txt already exists. hint: Name another file.") == 1
    assert "To read it: /export new.txt" in session.notes
    assert session.notes.count("note: written to chat1.json") == 2
    assert session.notes.count("chat1.json already exists.") == 1
    assert asked(engine) == ["first", "Yes. ", "second", "Yes. ", "third"]
    assert (files / "notes.txt").read_text() == "mine"
    assert len(list((files / "folder").glob("chat-*.json"))) == 1


def test_a_full_disk_leaves_the_prompt_alone(typed: Type, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FileHistory, line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fake("Yes.")
    monkeypatch.setattr(FileHistory, "store_string", full)
    session = typed("first", "second", LEAVE)
    assert session.out == "Yes. \nYes. \n"


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal; its chats are kept where those of this process are."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    terminal = Terminal(tmp_path)
    yield terminal
    subprocess.run(["tmux", "-L", terminal.name, "kill-server"], capture_output=True)


def test_a_terminal_that_is_closed_keeps_the_answer_so_far(window: Terminal) -> None:
    window.start("-m tests.repl.driver run", 80)
    window.wait("Ctrl-D leaves")
    window.say("go on")
    window.wait("and on and on")
    window.tmux("kill-server")
    until(lambda: Store().summaries())
    shown = Store().latest().last.answer
    window.start("-m tests.repl.driver run --continue", 80)
    screen = window.wait("(stopped here; /retry asks again)")
    assert screen.count("and on and on") >= 1
    (turn,) = Store().latest().turns
    assert (turn.typed, turn.cut, turn.answer.startswith(shown)) == ("go on", True, True)
    window.end()


BETWEEN = """
import subprocess, sys
subprocess.call("stty -a | md5sum", shell=True)
chat = subprocess.Popen([sys.executable, "-m", "tests.repl.driver", "run"])
open("chat", "w").write(str(chat.pid))
print("it ended with", chat.wait())
subprocess.call("stty -a | md5sum", shell=True)
"""


def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(window: Terminal) -> None:
    (window.folder / "between.py").write_text(BETWEEN)
    window.start("between.py", 80)
    window.wait("Ctrl-D leaves")
    window.wait_for_toolbar()
    window.tmux("send-keys", "-l", "half typed")
    os.kill(int((window.folder / "chat").read_text()), signal.SIGTERM)
    screen = window.wait("ended with 0")
    window.tmux("kill-server")
    assert "it ended with 143" in screen
    assert len(re.findall(r"[0-9a-f]{32}", screen)) == 2
    assert len(set(re.findall(r"[0-9a-f]{32}", screen))) == 1
