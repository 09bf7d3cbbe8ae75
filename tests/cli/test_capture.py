"""``--clipboard`` and ``--screenshot``, with programs of the desktop that say what a test wants."""

import os
from pathlib import Path

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.messages import TextFile
from tests.fake_model import FakeModels
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first in PATH, and no desktop yet."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def install(folder: Path, name: str, script: str) -> None:
    """A program of the desktop; ``$last`` is its last word."""
    (folder / name).write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
    (folder / name).chmod(0o700)


def test_images_of_clipboard_and_screen_stand_in_their_place(
    desktop: Path, samples: Path, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    picture, other = samples / "red_circle.png", str(samples / "photo.jpg")
    install(desktop, "wl-paste", f'[ "$1" = --list-types ] && echo image/png || cat {picture}')
    install(desktop, "grim", f'cp {samples / "shapes.png"} "$last"')
    words = ["run", "-m", "M", "--image", other, "--clipboard", "--image", other, "--screenshot", "-i", "x"]
    assert main(words, models) == 0
    assert [source for _, source in models.media] == [other, "clipboard.png", other, "screenshot.png"]


def test_a_text_is_given_as_a_file_is(
    desktop: Path, samples: Path, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    install(desktop, "xclip", '[ "$last" = TARGETS ] && echo UTF8_STRING || printf %s "copied \\`\\`\\` words"')
    assert main(["run", "-m", "M", "--clipboard", "--image", str(samples / "photo.jpg"), "-i", "x"], models) == 0
    first = models.messages[-1].parts[0]
    assert isinstance(first, TextFile)
    assert "copied ``` words" in first.text
    assert first.text.startswith("clipboard:\n````\n")
    assert len(models.media) == 1


def test_copied_files_are_attached(
    desktop: Path, samples: Path, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    uri = (samples / "beeps.wav").as_uri()
    install(desktop, "xclip", f'[ "$last" = TARGETS ] && echo text/uri-list || echo "{uri}"')
    assert main(["run", "-m", "M", "--clipboard", "-i", "x"], models) == 0
    assert models.media == [("audio", str(samples / "beeps.wav"))]


@pytest.mark.parametrize("copied", ["file:///tmp/my%20report.docx", "sftp://host/my%20report.docx"])
def test_a_copied_file_that_is_no_medium_is_not_left_out(
    desktop: Path,
    samples: Path,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    copied: str,
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    uris = f"{(samples / 'beeps.wav').as_uri()}\n{copied}"
    install(desktop, "xclip", f'[ "$last" = TARGETS ] && echo text/uri-list || echo "{uris}"')
    assert main(["run", "-m", "M", "--clipboard", "-i", "x"], models) == 2
    assert "report.docx on the clipboard is no image, audio, video or PDF file" in capsys.readouterr().err


def test_a_chat_and_one_more_question_take_them_too(
    desktop: Path, samples: Path, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    for name, shown in (("maim", "shapes.png"), ("scrot", "photo.jpg")):
        install(desktop, name, f'cp {samples / shown} "$last"')
    monkeypatch.setattr("sys.stdin", Stdin(b"What is it?\n"))
    assert main(["run", "-m", "demo", "--screenshot"], FakeModels("Yes.")) == 0
    monkeypatch.setattr("sys.stdin", Stdin())
    assert main(["run", "--continue", "--screenshot", "-i", "And now?"], FakeModels("Yes.")) == 0
    turns = Store().latest().turns
    assert [[medium.source for medium in turn.question.media] for turn in turns] == [["screenshot.png"]] * 2


@pytest.mark.parametrize(
    ("flag", "display", "programs", "said", "advised"),
    [
        ("--clipboard", None, {}, "The clipboard cannot be read here.", "wl-clipboard"),
        ("--clipboard", "DISPLAY", {"xclip": "exit 1"}, "neither an image nor text", "Copy one first."),
        ("--clipboard", "DISPLAY", {"xclip": '[ "$last" = TARGETS ] && echo image/png'}, "xclip fails: code 1", "--im"),
        ("--screenshot", None, {}, "There is no screen here", "Wayland or X11"),
        ("--screenshot", "WAYLAND_DISPLAY", {}, "no program for it is installed", "grim"),
        ("--screenshot", "DISPLAY", {"maim": "echo no display >&2; exit 1"}, "maim fails: no display", "--image"),
        ("--screenshot", "DISPLAY", {"maim": "true"}, "maim took no image of the screen.", "--image"),
    ],
)
def test_where_there_is_no_way_it_is_said(
    flag: str,
    display: str | None,
    programs: dict[str, str],
    said: str,
    advised: str,
    desktop: Path,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    for name, script in programs.items():
        install(desktop, name, script)
    if not programs:
        monkeypatch.setenv("PATH", str(desktop))
    if display is not None:
        monkeypatch.setenv(display, "x")
    assert main(["run", "-m", "M", flag, "-i", "x"], models) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert said in error
    assert advised in hint
    assert models.calls == []
