"""``mistralrs transcribe`` attached to an engine that runs, and asking a server: as without one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from mistralrs_cli.attach.engine import AttachedEngine
from mistralrs_cli.attach.record import EngineRecord
from mistralrs_cli.attach.server import ServerEngine
from mistralrs_cli.attach.speech_server import SpeechServer
from mistralrs_cli.cli.app import main
from mistralrs_cli.decoded import DecodedAudio
from mistralrs_cli.errors import EngineLost
from mistralrs_cli.events import collect
from mistralrs_cli.messages import DecodedMedia
from mistralrs_cli.options import Sampling
from mistralrs_cli.server.service import Service
from tests.attach.serving import ServedModels, played, serving
from tests.fake_model import FakeFamily, FakeModels
from tests.speech import test_command

Captured = pytest.CaptureFixture[str]
HERE = {
    "test_text_goes_to_stdout": "loads a model",
    "test_ctrl_c_keeps_what_is_written": "raises Ctrl-C in the engine's thread",
}
for name, value in vars(test_command).items():
    takes = getattr(value, "__code__", None)
    if name.startswith("test_") and name not in HERE and takes and "fake" in takes.co_varnames:
        globals()[name] = value


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[Service, EngineRecord]]:
    """One engine for all."""
    with serving(family=FakeFamily()) as (service, _, record):
        yield service, record


@pytest.fixture
def fake(engine: tuple[Service, EngineRecord]) -> FakeModels:
    """As in the other tests, but served."""
    service, record = engine
    found = ServedModels("one two", record=record, family=FakeFamily())
    service.backend = played(found, record.model)
    return found


def test_nothing_is_loaded_and_all_is_asked(fake: FakeModels, samples: Path, capsys: Captured) -> None:
    line = ["transcribe", str(samples / "digits.wav"), "-m", "M", "--language", "en", "--prompt", "Ada", "--translate"]
    assert main(line, fake) == 0
    assert capsys.readouterr() == ("one two\n", "")
    assert fake.text == "language=en translate=True prompt=Ada"
    assert fake.calls == []
    assert fake.sampling.temperature == 0.0
    assert main([*line, "--no-attach"], fake) == 0
    assert fake.calls == ["open", "load", "close"]


def test_an_engine_that_is_lost_is_done_without(fake: FakeModels, samples: Path, capsys: Captured) -> None:
    fake.answers = [EngineLost("the engine of M (process 1) has ended"), "three"]
    files = [str(samples / "digits.wav"), str(samples / "rising.wav")]
    assert main(["transcribe", *files, "-m", "M"], fake) == 0
    out, error = capsys.readouterr()
    assert out == f"==> {files[0]} <==\nthree\n==> {files[1]} <==\nthree\n"
    assert error == "note: the engine of M (process 1) has ended; loading the model here\n"
    assert fake.calls == ["open", "load", "close"]


def test_an_engine_that_is_lost_later_ends_the_transcript(
    fake: FakeModels, samples: Path, tmp_path: Path, capsys: Captured
) -> None:
    audio, rate = soundfile.read(samples / "digits.wav")
    soundfile.write(tmp_path / "a.wav", np.concatenate([audio, np.zeros(rate), audio]), rate)
    fake.answers = ["one two", EngineLost("the engine of M (process 1) has ended")]
    assert main(["transcribe", str(tmp_path / "a.wav"), "-m", "M", "--jobs", "1"], fake) == 5
    out, error = capsys.readouterr()
    assert out == "one two\n"
    assert "The engine of M (process 1) has ended: the transcript of" in error
    assert "ends at 0:02." in error


def test_keep_leaves_an_engine(
    fake: FakeModels, samples: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    asked: list[Any] = []
    attach = fake.attach

    def keep(options: Any, how: Any, **given: Any) -> Any:
        asked.append((how.keep, given["speech"]))
        return attach(options, how)

    monkeypatch.setattr(fake, "attach", lambda *given: None)
    monkeypatch.setattr(fake, "keep", keep)
    assert main(["transcribe", str(samples / "digits.wav"), "-m", "M", "--keep", "90s"], fake) == 0
    assert capsys.readouterr() == ("one two\n", "")
    assert asked == [(90.0, True)]
    assert main(["transcribe", str(samples / "digits.wav"), "--keep", "9m", "--no-attach"], fake) == 2


class Whisper(BaseHTTPRequestHandler):
    """A server of another project. ``plain`` has no times; what it was sent is in ``sent``."""

    sent: list[tuple[str, bytes]]
    plain = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append((self.path, body))
        if self.plain and b"verbose_json" in body:
            self.answer(400, {"error": {"message": "response_format 'verbose_json' is not compatible"}})
            return
        word = {"word": "three", "start": 0.1, "end": 0.4}
        segment = {"id": 0, "start": 0.1, "end": 0.5, "text": " three"}
        timed = {"language": "en", "segments": [segment], "words": [word]}
        self.answer(200, {"text": " three"} | ({} if self.plain else timed))

    def answer(self, status: int, found: dict[str, Any]) -> None:
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *given: Any) -> None:
        """Nothing."""


@pytest.fixture
def whisper() -> Iterator[tuple[type[Whisper], str]]:
    """Such a server, and its address."""
    handler = type("Handler", (Whisper,), {"sent": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join(30)


def test_another_server_transcribes(
    whisper: tuple[type[Whisper], str], fake: FakeModels, samples: Path, capsys: Captured
) -> None:
    handler, address = whisper
    line = ["transcribe", str(samples / "digits.wav"), "--server", address, "-m", "whisper-1", "--prompt", "Ada"]
    assert main([*line, "--format", "verbose_json", "--words", "--language", "en"], fake) == 0
    out, error = capsys.readouterr()
    found = json.loads(out)
    assert (found["text"], found["times"], found["language"], error) == ("three", "model", "en", "")
    (word,) = found["words"]
    assert (word["word"], round(word["end"] - word["start"], 3)) == ("three", 0.3)
    (path, body) = handler.sent[0]
    assert path == "/v1/audio/transcriptions"
    for part in (b"whisper-1", b"verbose_json", b"Ada", b"RIFF", b'name="timestamp_granularities[]"\r\n\r\nword'):
        assert part in body
    assert main([*line, "--translate", "--language", "de"], fake) == 0
    assert (handler.sent[-1][0], b'name="language"' in handler.sent[-1][1]) == ("/v1/audio/translations", False)
    assert fake.calls == []


def test_our_servers_hear_what_a_translation_is_from() -> None:
    asked: list[dict[str, Any]] = []

    def post(path: str, fields: dict[str, Any], file: object) -> dict[str, Any]:
        asked.append(fields)
        return {"text": "Yes."}

    messages, inputs = AttachedEngine.transcription(
        DecodedMedia("audio", "a", DecodedAudio(np.zeros(160, np.float32), 16_000)), "de", translate=True
    )
    server = SpeechServer(cast(ServerEngine, SimpleNamespace(ours=True, name="M", address="h", post_form=post)))
    assert collect(server.stream(messages, Sampling(template_kwargs=inputs))).text == "Yes."
    assert asked[0]["language"] == "de"


def test_a_server_without_times(
    whisper: tuple[type[Whisper], str], fake: FakeModels, samples: Path, capsys: Captured
) -> None:
    handler, address = whisper
    handler.plain = True
    line = ["transcribe", str(samples / "digits.wav"), "--server", address, "-m", "gpt-4o-transcribe"]
    assert main([*line, "--format", "srt"], fake) == 0
    out, error = capsys.readouterr()
    assert out.startswith("1\n00:00:00,")
    assert "times are those of windows cut at pauses" in error
    assert main([*line[:3], "http://127.0.0.1:1", "-m", "M"], fake) == 5
    assert "No answer from http://127.0.0.1:1" in capsys.readouterr().err
    assert main([*line, "--cpu"], fake) == 2
    assert "--cpu says how a model is loaded" in capsys.readouterr().err
