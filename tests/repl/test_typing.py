"""What is typed, pasted and completed in the chat, with a fake model."""

from __future__ import annotations

import base64
import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from mistralrs_cli.conversation.store import Store
from mistralrs_cli.messages import TextFile
from mistralrs_cli.options import short_name
from mistralrs_cli.repl.keyboard import pending
from mistralrs_cli.repl.lines import clean
from tests.repl.conftest import CLEAR, LEAVE, TAB, Fake, Type
from tests.repl.test_chat import asked

LONG = "\n".join(f"line {number}" for number in range(1, 44))
PASTE, PASTED = "\x1b[200~", "\x1b[201~"


@pytest.mark.parametrize(
    "typed_keys",
    ["a\x1cb", "a\x11\x07b", "a\x1d\x1eb", f"{PASTE}a\x07b\x00{PASTED}", f"{PASTE}\x1b[31ma\x1b[0mb{PASTED}"],
)
def test_control_characters_never_reach_a_question(typed_keys: str, typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    typed(typed_keys, LEAVE)
    assert asked(engine) == ["ab"]


def test_what_is_cleaned() -> None:
    assert clean("a\tb\r\nc\rd\x7f\x9b31me\x1b]0;title\x07f") == "a\tb\nc\ndef"


def test_a_long_paste_is_sent_and_kept_whole(typed: Type, fake: Fake, data: Path) -> None:
    engine = fake("Yes.")
    typed(f"sum {PASTE}{LONG}{PASTED} up", f"{PASTE}{'x' * 3000}{PASTED}", "/undo", "!", LEAVE)
    assert asked(engine, 0) == [f"sum {LONG} up"]
    assert asked(engine)[-1] == "x" * 3000 + "!"
    assert f"sum {LONG} up" in list(FileHistory(str(data / "history")).load_history_strings())


def test_a_folded_paste_is_one_sign_that_unfolds(typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    backspace, unfold = "\x7f", "\x0f"
    typed(f"a{PASTE}{LONG}{PASTED}{backspace}b", f"{PASTE}{LONG}{PASTED}{unfold}{backspace}4", LEAVE)
    assert asked(engine, 0) == ["ab"]
    assert asked(engine)[-1] == LONG[:-1] + "4"


@pytest.mark.parametrize("word", ["/quit", "/q", "/bye", "exit", "Quit", " quit "])
def test_ways_to_leave(word: str, typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    assert typed(word, "never", LEAVE).code == 0
    assert engine.asked == []


@pytest.mark.parametrize("word", ["/?", "help"])
def test_ways_to_help(word: str, typed: Type, fake: Fake) -> None:
    engine = fake("Yes.")
    assert "/export FILE" in typed(word, LEAVE).err
    assert engine.asked == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/nope", "hint: /help lists them."),
        ("/picture a.png", "Did you mean /image?"),
        ("/quti", "Did you mean /quit?"),
        ("/temp 1", "Did you mean /temperature?"),
        ("/temperature", "temperature = 0.8, the model's own"),
        ("/set frames", "frames = default"),
        ("/image photo.jpg what colour is it?", "/image takes files only, and “what colour is it?” is none."),
        ("/image what is it?", "/image takes files only"),
        ("/image pics/a red.png what colour is it?", "and “what colour is it?” is none."),
        ("/file page.pdf what does it say?", "/file takes files only, and “what does it say?” is none."),
        ("/image gone.png?", "No such file: gone.png"),
        ("/image gone*.png", "No file fits gone*.png"),
        ("/image photo.jpg gone.png", "No such file: gone.png"),
        ("/image photo.jpg?", "[1] photo.jpg"),
        ("/file gone.txt", "No such file: gone.txt"),
        ("/file photo.jpg", "photo.jpg is no text but an image (JPEG)"),
        ("/copy", "No question has been asked yet."),
        ("./folder.png", "./folder.png is a folder, not a file. hint: Name the files in it: /image ./folder.png/*"),
        ("ftp://h/a.jpg", "Media cannot be read over ftp"),
        ("file://otherhost/p.jpg", "names the host 'otherhost'"),
        ("@page.pdf", "page.pdf is a damaged PDF document"),
    ],
)
def test_what_is_said(line: str, said: str, typed: Type, fake: Fake, files: Path) -> None:
    fake("Yes.")
    (files / "folder.png").mkdir()
    (files / "page.pdf").write_bytes(b"%PDF-1.7\n\x00")
    assert said in typed(line, CLEAR, LEAVE).notes


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("what is gone.png", "there is no gone.png here; sent as plain text"),
        ("see my_photo.png", "there is no my_photo.png here (my photo.png is); sent as plain text"),
        ("see folder.png", "folder.png is a folder; sent as plain text"),
        ("see dead.png", "dead.png is a link to nothing; sent as plain text"),
        ("see pipe.png", "pipe.png is a pipe or device, which /image reads; sent as plain text"),
        (
            "see http://127.0.0.1:9/x",
            "No server answers at http://127.0.0.1:9/x (connection refused); sent as plain text",
        ),
        (
            "a.png b.png c.png d.png e.png",
            "there is no a.png, b.png, c.png or 2 more such names here; sent as plain text",
        ),
        ("@gone.txt", "there is no gone.txt here; sent as plain text"),
    ],
)
def test_words_that_look_like_media_go_with_a_note(line: str, note: str, typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    (files / "folder.png").mkdir()
    (files / "my photo.png").write_bytes((files / "red_circle.png").read_bytes())
    (files / "dead.png").symlink_to("nothing")
    os.mkfifo(files / "pipe.png")
    session = typed(line, LEAVE)
    assert asked(engine) == [line]
    assert f"note: {note}" in session.notes


def test_a_container_with_sound_alone_is_heard(typed: Type, fake: Fake, samples: Path, files: Path) -> None:
    from mistralrs_cli.media import ffmpeg

    engine = fake("Yes.")
    import subprocess

    for name in ("voice.webm", "voice.mp4", "voice.3gp"):
        codec = ["-c:a", "libopus"] if name.endswith("webm") else ["-c:a", "aac"]
        subprocess.run(
            [ffmpeg.executable(), "-loglevel", "error", "-i", str(files / "beeps.wav"), *codec, str(files / name)],
            check=True,
        )
    typed("hear voice.webm, voice.mp4 and voice.3gp", LEAVE)
    assert asked(engine) == ["hear <audio voice.webm>, <audio voice.mp4> and <audio voice.3gp>"]


def test_texts_go_before_the_question(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    (files / "notes.txt").write_text("alpha\nbeta\n")
    (files / "ask.txt").write_text("What is red?\n")
    session = typed(
        "/file notes.txt", "/media", "/drop 1", "/file NOTES.txt", "sum up, with photo.jpg", "/media", "/undo", "?",
        "is @notes.txt long?", "/retry", "@ask.txt", LEAVE,
    )  # fmt: skip
    block = "notes.txt:\n```\nalpha\nbeta\n```\n\n"
    assert "[1] notes.txt (2 lines of text)" in session.err
    assert "in the conversation: NOTES.txt, photo.jpg" in session.err
    upper = block.replace("notes", "NOTES")
    assert asked(engine, 1) == [f"{upper}sum up, with <image photo.jpg>?"]
    assert asked(engine, 2)[-1] == asked(engine, 3)[-1] == f"{block}is notes.txt long?"
    assert asked(engine)[-1] == "ask.txt:\n```\nWhat is red?\n```\n\n"
    kept = session.kept.latest()
    assert kept.title.startswith("sum up, with photo.jpg")
    first = kept.turns[0]
    assert [part.source for part in first.attached] == ["NOTES.txt"]
    assert isinstance(first.question.parts[0], TextFile)


def test_a_text_survives_saving(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    (files / "notes.txt").write_text("alpha\n")
    typed("/file notes.txt", "first", LEAVE)
    (files / "notes.txt").unlink()
    typed("/undo", " again", LEAVE, words="--plain --continue")
    assert asked(engine) == ["notes.txt:\n```\nalpha\n```\n\nfirst again"]
    assert Store().latest().turns[0].attached != ()


def test_copy(typed: Type, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.platform", "linux")
    fake("See:\n```py\nold\n```\nand\n````\nprint('é')\n```\n````\nend")
    session = typed("first", "/copy", "/copy code", "/copy it", CLEAR, LEAVE, terminal=True)
    copied = [base64.b64decode(data).decode() for data in re.findall("\x1b]52;c;([^\x07]*)\x07", session.raw)]
    assert copied == ["See:\n```py\nold\n```\nand\n````\nprint('é')\n```\n````\nend", "print('é')\n```"]
    assert "were sent to the terminal's clipboard" in session.notes
    assert "/copy does not know it." in session.notes


def test_models_on_this_disk(
    typed: Type, fake: Fake, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    fake("Yes.")
    cache = tmp_path / "hub"
    snapshot = cache / "models--owner--Tiny-VL" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_bytes((root / "mistralrs_cli" / "demo" / "config.json").read_bytes())
    (cache / "models--owner--words" / "snapshots" / ("b" * 40)).mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    session = typed("/model", LEAVE)
    rows = [line.split("  ") for line in session.err.splitlines() if "text, image" in line]
    assert [row[1].strip() for row in rows] == ["demo", "owner/Tiny-VL"]
    assert "owner/words" not in session.err


def test_tab_is_pressed_twice(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    (files / "notes.txt").write_text("alpha")
    typed("/im" + TAB + "ph" + TAB, "what is 'My" + TAB + "?", "/set thou" + TAB + "hi" + TAB, "sum @no" + TAB, LEAVE)
    assert asked(engine, 0) == ["<image photo.jpg>what is <image My [best] photo (1).png>?"]
    assert asked(engine)[-1] == "notes.txt:\n```\nalpha\n```\n\nsum notes.txt "


def test_what_is_typed_ahead_is_shown_at_its_end() -> None:
    def keys(*names: str | Keys) -> list[KeyPress]:
        return [KeyPress(name, name if isinstance(name, str) else "") for name in names]

    assert pending([], 80) == ""
    assert pending(keys(*"hello", Keys.Backspace, "p", Keys.Left, Keys.ControlM, *"two"), 80) == "> hellp↵ two"
    assert pending(keys(*"wrong", Keys.ControlU, *"one two", Keys.ControlW, "3"), 80) == "> one 3"
    assert pending([KeyPress(Keys.BracketedPaste, LONG)], 80) == "> [43 lines pasted]"
    assert pending(keys(*("字" * 30)), 20) == "> …" + "字" * 7


def stop_reader(pipe: Path) -> None:
    """Press Ctrl-C once somebody waits for what a pipe gives."""
    for _ in range(400):
        with suppress(OSError):  # nobody reads yet
            writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    os.close(writing)


def test_ctrl_c_frees_a_pipe_that_gives_nothing(typed: Type, fake: Fake, files: Path) -> None:
    engine = fake("Yes.")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    os.mkfifo(files / "pipe.png")
    stopping = threading.Thread(target=stop_reader, args=(files / "pipe.png",))
    stopping.start()
    session = typed("/image pipe.png", CLEAR, "hello", LEAVE)
    stopping.join()
    signal.signal(signal.SIGINT, before)
    assert asked(engine) == ["hello"]
    assert "stopped" in session.err


@pytest.mark.parametrize(
    ("model_id", "short"),
    [
        ("demo", "demo"),
        ("Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"),
        ("/data/models/SmolLM2", "SmolLM2"),
        ("~/models/SmolLM2/", "SmolLM2"),
        ("./SmolLM2", "SmolLM2"),
        ("C:\\models\\SmolLM2", "SmolLM2"),
        ("/c/hub/models--Qwen--Qwen3-VL-4B/snapshots/0123abc", "Qwen/Qwen3-VL-4B"),
        ("", ""),
    ],
)
def test_what_a_model_is_called(model_id: str, short: str) -> None:
    assert short_name(model_id) == short


def test_a_folder_is_called_by_its_last_part(typed: Type, fake: Fake, files: Path, root: Path) -> None:
    fake("Yes.")
    (files / "models").mkdir()
    (files / "models" / "mine").symlink_to(root / "mistralrs_cli" / "demo")
    session = typed("/model models/mine", "/stats", "/model", LEAVE)
    assert "loading mine; the conversation continues" in session.notes
    assert "model    models/mine" in session.err
    assert "*  mine" in session.err, session.err
