"""``--server``: a question goes out in OpenAI's form, and what comes back is shown as an engine's answer is."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.attach.server import ServerEngine
from mistralrs_cli.cli.app import main
from mistralrs_cli.events import collect
from mistralrs_cli.messages import Message, Text, ToolCall
from tests.attach.other_server import Other, other_server
from tests.fake_model import FakeFamily, FakeModels
from tests.media.pdf import document
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """A server, and an empty stdin."""
    monkeypatch.setattr(sys, "stdin", Stdin())
    with other_server() as server:
        yield server


def models() -> FakeModels:
    return FakeModels("no", family=FakeFamily())


def test_a_question_is_asked_and_answered(other: Other, samples: Path, capsys: Captured) -> None:
    line = ["--max-tokens", "9", "--top-k", "3", "--stop", "END", "-s", "Be brief.", "-i", "What?"]
    image = ["--image", str(samples / "shapes.png"), "--audio", str(samples / "beeps.wav")]
    here = models()
    assert main(["run", "--server", f"{other.url}/v1/", *image, *line], here) == 0
    assert capsys.readouterr() == ("It is red.\n", "")
    assert here.calls == []
    ((path, body, key),) = other.asked
    assert (path, key, body["model"]) == ("/v1/chat/completions", None, "their-model")
    assert (body["max_tokens"], body["top_k"], body["stop"], body["stream"]) == (9, 3, ["END"], True)
    assert "temperature" not in body
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    first, second, third = user["content"]
    assert first["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert (second["type"], second["input_audio"]["format"]) == ("input_audio", "wav")
    assert third == {"type": "text", "text": "What?"}


def test_pages_go_as_images(other: Other, tmp_path: Path, capsys: Captured) -> None:
    """A server of somebody else's reads no PDF."""
    (tmp_path / "doc.pdf").write_bytes(document(3))
    line = ["--server", other.url, "-m", "M", "-i", "What?"]
    assert main(["run", "--image", f"{tmp_path}/doc.pdf#page=2-", "--pdf-text", *line], models()) == 0
    assert main(["batch", f"{tmp_path}/doc.pdf", "-q", *line], models()) == 0
    (_, one, _), (_, other_one, _) = other.asked
    parts = one["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text", "image_url", "text"]
    images = [part["image_url"] for part in other_one["messages"][0]["content"] if part["type"] == "image_url"]
    assert images[1:] == [parts[1]["image_url"], parts[3]["image_url"]]
    assert all(image.keys() == {"url"} and image["url"].startswith("data:image/png;base64,iVBOR") for image in images)


def test_json_tells_what_the_server_told(other: Other, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRALRS_API_KEY", "secret")
    schema = ["--regex", "[a-z]+"]
    assert main(["run", "--server", other.url, "-m", "mine", "--json", *schema, "-i", "What?"], models()) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["reasoning"], found["finish_reason"], found["model"]) == (
        "It is red.",
        "Hm.",
        "stop",
        "mine",
    )
    assert found["usage"]["prompt_tokens"] == 40
    assert other.asked[0][1]["grammar"] == {"type": "regex", "value": "[a-z]+"}
    assert other.asked[0][2] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (404, {"message": "No such file: a.png", "code": "media_not_found"}, 4),
        (400, {"message": "Too long.", "code": "context_length_exceeded"}, 5),
        (401, {"message": "No key."}, 3),
        (500, {"message": "Out of order."}, 5),
        (200, {"message": "It broke."}, 5),
    ],
)
def test_errors_of_the_server(other: Other, status: int, error: dict[str, str], code: int, capsys: Captured) -> None:
    other.status, other.lines = status, [{"error": error}]
    assert main(["run", "--server", other.url, "-m", "M", "-i", "What?"], models()) == code
    assert capsys.readouterr().err.splitlines()[0] == f"error: {error['message']}"


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([{"error": None, "choices": [{"delta": {"content": "Yes."}, "finish_reason": None}]}], 0, ""),
        ([{"choices": [{"delta": {"content": "Yes."}, "boxes": [{"box": [1, 2, 3, 4]}], "points": 5}]}], 0, ""),
        ([{"choices": [{"delta": {"content": "Yes."}}]}, {"error": "It broke."}], 5, "error: It broke.\n"),
        ([{"choices": [{"delta": {"content": "Yes."}}]}, []], 5, "is no answer.\nhint: Check the address.\n"),
    ],
)
def test_answers_that_are_not_as_ours(other: Other, lines: list[Any], code: int, said: str, capsys: Captured) -> None:
    """A field without an error, boxes that mean something else, no reason at the end; and what breaks in the middle."""
    other.lines = lines
    assert main(["run", "--server", other.url, "-m", "M", "-i", "What?"], models()) == code
    out, err = capsys.readouterr()
    assert (out, err.endswith(said)) == ("Yes.\n", True)


def test_a_row_whose_answer_is_none_fails_alone(other: Other, samples: Path, capsys: Captured) -> None:
    other.lines = [{"choices": [{"delta": {"content": "Yes."}}]}, {"choices": 5}]
    images = [str(samples / name) for name in ("shapes.png", "red_circle.png")]
    assert main(["batch", *images, "-q", "--server", other.url, "-m", "M", "-i", "What?"], models()) == 1
    assert len(other.asked) == 2
    assert [json.loads(line)["error"]["code"] for line in capsys.readouterr().out.splitlines()] == 2 * [
        "generation_error"
    ]


def test_a_redirection_is_said_and_not_followed(other: Other, capsys: Captured) -> None:
    """The key is for this server alone."""
    other.status, other.location = 307, "https://elsewhere/v1/chat/completions"
    assert main(["run", "--server", other.url, "-m", "M", "-i", "What?"], models()) == 2
    assert capsys.readouterr().err.startswith(f"error: {other.url} redirects to https://elsewhere/v1/chat/completions.")
    assert len(other.asked) == 1


def test_what_was_said_before_is_sent_as_it_was(other: Other) -> None:
    """Calls of tools and what they returned, and text with a byte that was no UTF-8."""
    called = Message("assistant", (), (ToolCall("c1", "look", "{}"),))
    messages = (Message("user", (Text("na\udcffme"),)), called, Message("tool", (Text("7"),), (), "c1", "look"))
    with ServerEngine(other.url, "M") as server, server.stream(messages) as events:
        assert collect(events).text == "It is red."
    user, assistant, tool = other.messages
    assert user == {"role": "user", "content": "na?me"}
    function = {"name": "look", "arguments": "{}"}
    assert assistant["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert tool == {"role": "tool", "content": "7", "tool_call_id": "c1", "name": "look"}


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--server http://127.0.0.1:9 -i x", 5, "No answer from http://127.0.0.1:9: "),
        ("--server ftp://h -i x", 2, "is not on the web"),
        ("--server h --quant 4 -i x", 2, "--quant says how a model is loaded"),
        ("--server h --keep 5m -i x", 2, "exclude each other"),
        ("--server h --dry-run -i x", 2, "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_said(line: str, code: int, said: str, capsys: Captured, other: Other) -> None:
    assert main(["run", "-m", "M", *line.split()], models()) == code
    assert said in capsys.readouterr().err
