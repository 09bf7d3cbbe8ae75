"""What is really at a path or address, and what Tab makes of the beginning of one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from mistralrs_cli.conversation.store import Store
from mistralrs_cli.media import clipboard, ffmpeg
from mistralrs_cli.media.candidates import Sight
from mistralrs_cli.messages import MediaBytes
from mistralrs_cli.options import MediaPolicy
from mistralrs_cli.repl.attachments import Attachments
from mistralrs_cli.repl.completion import paths
from mistralrs_cli.repl.lines import is_open, unfenced
from tests.fake_model import FakeFamily


class Blind(FakeFamily):
    """Reads images, no video."""

    modalities = frozenset({"image"})


@pytest.fixture
def attachments(tmp_path: Path) -> Attachments:
    return Attachments(Store(tmp_path / "data"), MediaPolicy())


@pytest.mark.parametrize(
    ("name", "source", "sight"),
    [
        ("a.png", "red_circle.png", "image"),
        ("a.bin", "red_circle.png", "image"),
        ("a.mp3", "red_circle.png", "image"),
        ("a.gif", "clip.gif", "video"),
        ("still.gif", None, "image"),
        ("a.ts", b"const a = 1;\n", "text"),
        ("a.wav", b"hello\n", "text"),
        ("a.pcx", b"\x0a\x05\x01\x08\x90\x91\x92", "image"),
        ("a.dat", b"\x01\x02\x03\x90\x91\x92", "other"),
        ("a.m4a", "beeps.m4a", "audio"),
        ("a.weba", "clip.webm", "audio"),
        ("a.webm", "clip.webm", "video"),
    ],
)
def test_content_decides(
    name: str, source: str | bytes | None, sight: Sight, attachments: Attachments, samples: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    if source is None:
        Image.new("P", (8, 8)).save(file)
    else:
        file.write_bytes(source if isinstance(source, bytes) else (samples / source).read_bytes())
    assert attachments.detector.look(str(file), FakeFamily()) == sight  # type: ignore[arg-type]


def test_a_container_of_sound_is_a_sound(attachments: Attachments, tmp_path: Path, samples: Path) -> None:
    voice, camera, drawing = tmp_path / "voice.webm", tmp_path / "camera.mts", tmp_path / "a.tga"
    run = [ffmpeg.executable(), "-loglevel", "error", "-i"]
    subprocess.run([*run, samples / "beeps.wav", "-c:a", "libopus", voice], check=True)
    subprocess.run([*run, samples / "clip.mp4", "-mpegts_m2ts_mode", "1", "-f", "mpegts", camera], check=True)
    Image.new("RGB", (9, 9)).save(drawing)
    seen = [attachments.detector.look(str(path), FakeFamily()) for path in (voice, camera, drawing)]  # type: ignore[arg-type]
    assert seen == ["audio", "video", "image"]


def test_an_animation_is_a_picture_for_who_sees_no_clips(attachments: Attachments, samples: Path) -> None:
    assert attachments.detector.look(str(samples / "clip.gif"), Blind()) == "image"  # type: ignore[arg-type]


def test_what_is_no_file_is_missing(attachments: Attachments, tmp_path: Path) -> None:
    for path in (str(tmp_path / "gone.png"), "a\0b.png", "x" * 5000 + ".png", "~nobody-here/x.png"):
        assert attachments.detector.look(path, FakeFamily()) == "missing"  # type: ignore[arg-type]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_left_to_its_error(attachments: Attachments, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch(0o000)
    assert attachments.detector.look(str(tmp_path / "a.png"), FakeFamily()) == "image"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("look at re", None, ["red.png"]),
        ("/image my", "image", [r"my\ pics/"]),
        (r"my\ pics/a", None, [r"my\ pics/a\(1\).png"]),
        ('"my pics/A', None, ['my pics/a(1).png"']),
        ("sum up @no", None, ["notes.txt"]),
        ("/file n", "text", ["notes.txt"]),
        ("sub/", "audio", ["sub/x.wav"]),
        ("sub/", None, ["sub/c.gif", "sub/x.wav"]),
        ("/video sub/", "video", ["sub/c.gif"]),
        ("~/re", None, ["~/red.png"]),
        (".", None, [".hidden.png"]),
        ("no", None, []),
        ("gone/", None, []),
        ("~nobody-here/x", None, []),
        ("a\0b/x", None, []),
    ],
)
def test_tab(line: str, kind: str | None, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("red.png", "notes.txt", ".hidden.png", "my pics/a(1).png", "sub/x.wav", "sub/c.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [completion.text.removesuffix(" ") for completion in paths(line, kind)] == expected


def test_commands_are_completed_with_what_they_do(tmp_path: Path) -> None:
    from mistralrs_cli.repl.completion import ChatCompleter

    completer = ChatCompleter(None)  # type: ignore[arg-type]
    found = list(completer.get_completions(Document("/re"), CompleteEvent(text_inserted=True)))
    assert [(item.text, item.display_meta_text) for item in found] == [("/retry", "ask the last question again")]
    found = list(completer.get_completions(Document("/set temp"), CompleteEvent(completion_requested=True)))
    assert [item.text for item in found] == ["temperature "]


@pytest.mark.parametrize(
    ("text", "opened", "inside"),
    [
        ('"""', True, '"""'),
        ('"""a', True, '"""a'),
        ('"""a"""', False, "a"),
        ('"""\na\n\nb\n"""', False, "a\n\nb"),
        ('""""""', False, ""),
        ('""" " """', False, ' " '),
        ("a", False, "a"),
    ],
)
def test_three_quotes(text: str, opened: bool, inside: str) -> None:
    assert is_open(text) is opened
    assert unfenced(text) == inside


@pytest.mark.parametrize(
    ("program", "display", "offered", "expected"),
    [
        ("xclip", "DISPLAY", "TARGETS\nimage/png\ntext/html", [("image", "clipboard.png")]),
        ("wl-paste", "WAYLAND_DISPLAY", "text/plain\nimage/jpeg", [("image", "clipboard.jpeg")]),
        ("xclip", "DISPLAY", "text/uri-list", [("image", "/a b.png"), ("audio", "/c.wav")]),
    ],
)
def test_the_clipboard_by_its_tools(
    program: str,
    display: str,
    offered: str,
    expected: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool = tmp_path / program
    answers = {"TARGETS": offered, "--list-types": offered, "text/uri-list": "file:///a%20b.png\r\nfile:///c.wav"}
    cases = "".join(f"{word}) printf '%s' '{answer}';;\n" for word, answer in answers.items())
    tool.write_text(f'#!/bin/sh\nfor last; do :; done\ncase "$last" in\n{cases}image/*) printf picture;;\nesac\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(display, "x")
    found = clipboard.media()
    assert [(medium.kind, medium.source) for medium in found] == expected
    assert all(medium.data == b"picture" for medium in found if isinstance(medium, MediaBytes))
