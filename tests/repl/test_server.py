"""A chat with a server (``--server``): one of somebody else's, which has OpenAI's interface and nothing more."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mistralrs_cli.cli.app import main
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.errors import OptionError
from tests.attach.other_server import Other, other_server
from tests.fake_model import FakeFamily, FakeModels
from tests.repl.conftest import CLEAR, LEAVE, Type
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def other() -> Iterator[Other]:
    with other_server() as server:
        yield server


def run(monkeypatch: pytest.MonkeyPatch, stdin: str, *words: str) -> int:
    """``mistralrs run`` where nothing may be loaded."""
    monkeypatch.setattr(sys, "stdin", Stdin(stdin.encode()))
    here = FakeModels("no", family=FakeFamily())
    code = main(["run", *words], here)
    assert here.calls == []
    return code


def shapes(message: dict[str, Any]) -> list[str]:
    """The text of each part, or its type."""
    content = message["content"]
    return [content] if isinstance(content, str) else [part.get("text", part["type"]) for part in content]


def test_lines_are_answered_kept_and_gone_on_with(
    other: Other, monkeypatch: pytest.MonkeyPatch, files: Path, capsys: Captured
) -> None:
    at = ("--server", other.url)
    assert run(monkeypatch, "/system Be brief.\nWhat is photo.jpg?\nAnd now?\n", *at) == 0
    assert capsys.readouterr().out == "It is red.\nIt is red.\n"
    assert [path for path, _, _ in other.asked] == ["/v1/chat/completions"] * 2
    assert other.asked[1][1]["model"] == "their-model"
    assert [shapes(message) for message in other.messages] == [
        ["Be brief."],
        ["What is ", "image_url", "?"],
        ["It is red."],
        ["And now?"],
    ]
    photo = base64.b64encode((files / "photo.jpg").read_bytes()).decode()
    assert other.messages[1]["content"][1]["image_url"] == {"url": f"data:image/jpeg;base64,{photo}"}
    (one, two) = Store().latest().turns
    assert (one.usage.prompt_tokens, two.usage.completion_tokens, two.reasoning) == (40, 3, "Hm.")

    assert run(monkeypatch, "", "--continue", "-i", "More?") == 2
    assert f"note: This chat was held with their-model at {other.url}." not in (said := capsys.readouterr().err)
    assert f"To go on there: --server {other.url}" in " ".join(said.split())
    other.models = [{"id": "first"}, {"id": "their-model"}]
    assert run(monkeypatch, "", "--continue", *at, "-i", "photo.jpg?") == 0
    assert (len(other.messages), shapes(other.messages[-1])) == (6, ["photo.jpg?"])
    assert other.messages[1]["content"][1]["image_url"]["url"].endswith(photo)
    assert other.asked[-1][1]["model"] == "their-model"
    assert run(monkeypatch, "Yes?", *at, "--json", "-m", "theirs", "--pdf-text") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["model"] == "theirs"
    assert "lists no model theirs, but first, their-model" in shown.err


def test_media_go_in_forms_that_any_server_reads(
    other: Other, monkeypatch: pytest.MonkeyPatch, files: Path, samples: Path
) -> None:
    """Of a server of this project too, where only this one knows of pages, cuts and other formats."""
    other.models = None
    Image.new("RGB", (64, 32), "red").save(files / "wide.tiff")
    (files / "beeps.flac").write_bytes((samples / "beeps.flac").read_bytes())
    line = "wide.tiff and beeps.flac and clip.gif"
    assert run(monkeypatch, line, "--server", other.url, "--max-edge", "16") == 0
    tiff, _, flac, _, gif = other.messages[0]["content"]
    assert tiff["image_url"].keys() == {"url"} == gif["video_url"].keys()
    assert tiff["image_url"]["url"].startswith("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(tiff["image_url"]["url"][22:]))) as image:
        assert image.size == (16, 8)
    assert flac["input_audio"]["format"] == "wav"
    assert base64.b64decode(flac["input_audio"]["data"])[:4] == b"RIFF"

    assert run(monkeypatch, line, "--server", other.url, "--video-frames", "3") == 2  # the animation is a video
    other.models = [{"id": "ours", "owned_by": "mistralrs", "input_modalities": ["text", "audio"]}]
    assert run(monkeypatch, "beeps.flac", "--server", other.url) == 0
    sent = base64.b64decode(other.messages[0]["content"][0]["input_audio"]["data"])
    assert sent == (samples / "beeps.flac").read_bytes()
    assert run(monkeypatch, "photo.jpg", "--server", other.url) == 4
    assert run(monkeypatch, "Yes?", "--server", other.url, "-m", "nothing") == 3
    assert run(monkeypatch, "Yes?", "--server", other.url, "--quant", "4") == 2


def test_what_a_server_cannot_say_is_said(typed: Type, other: Other, files: Path) -> None:
    other.models = [{"id": "their-model", "max_model_len": 60}, {"id": "another"}]
    lines = ("/temperature", "/model", "What is photo.jpg?", "/draw out.png", CLEAR)
    session = typed(*lines, "/stats", "/model another", "And you?", LEAVE, words=f"--plain --server {other.url}")
    assert f"their-model at {other.url}" in session.notes
    assert "temperature = the server's own" in session.notes
    assert "photo.jpg (" in session.notes
    assert "bytes sent)" in session.notes
    assert "The server names no boxes or points in this answer" in session.notes
    assert "43 of 60 tokens" in session.notes
    assert other.asked[-1][1]["model"] == "another"
    assert f"mistralrs run --continue --server {other.url}" in session.notes
    assert "answer 3 tokens" in session.notes


def test_what_a_server_marks_is_drawn(typed: Type, other: Other, files: Path) -> None:
    box = {"label": "here", "box": [2, 2, 9, 9], "media": 0, "source": "image"}
    choice = {"delta": {"content": "There."}, "finish_reason": "stop", "boxes": [box]}
    other.lines = [{"choices": [choice]}]
    session = typed("Where in red_circle.png?", "/draw out.png", CLEAR, LEAVE, words=f"--plain --server {other.url}")
    assert "1 box drawn into out.png" in session.notes
    assert (files / "out.png").exists()
    assert [one.box for one in session.kept.latest().last.found.boxes] == [(2, 2, 9, 9)], "kept with the chat"


def test_ctrl_c_ends_the_request_there(typed: Type, other: Other) -> None:
    piece = {"choices": [{"delta": {"content": "and on "}}]}

    def interrupt() -> None:
        """Press it once something of the answer was shown, as the saved chat tells."""
        for _ in range(3000):
            with suppress(OptionError):
                if Store().latest().turns[-1].answer:
                    break
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def wait() -> None:
        time.sleep(0.01)

    other.lines = [piece, interrupt, *(line for _ in range(3000) for line in (piece, wait))]
    session = typed("Go on.", CLEAR, LEAVE, words=f"--plain --server {other.url}")
    assert other.left.wait(30)
    (turn,) = session.kept.latest().turns
    assert (turn.cut, turn.answer.startswith("and on")) == (True, True)


def test_a_server_that_is_gone_takes_back_the_turn(typed: Type, other: Other) -> None:
    other.status, lines = 500, other.lines
    other.lines = [{"error": {"message": "Out of order."}}]
    session = typed("First.", CLEAR, LEAVE, words=f"--plain --server {other.url}")
    assert "Out of order." in session.notes
    assert not list(session.kept.sessions.glob("*.json"))
    other.status, other.lines = 200, lines
