"""Recordings written down from Python: the same for every form of a recording, here and by a server."""

import asyncio
import threading
from pathlib import Path

import pytest
import soundfile

from mistralrs import AsyncRunner, RequestError, Runner, RunnerError, TranscriptionResponse
from mistralrs_cli.sdk.transcription import recording
from tests.server.conftest import Running

pytestmark = pytest.mark.slow


@pytest.fixture
def whole(runner: Runner, samples: Path) -> TranscriptionResponse:
    return runner.transcribe(samples / "digits.wav")


def test_every_form_of_a_recording(runner: Runner, samples: Path, whole: TranscriptionResponse) -> None:
    path = samples / "digits.wav"
    assert (whole.text, whole.times, whole.language, whole.words) == ("three seven one", "window", None, ())
    assert [(part.text, round(part.start, 1), round(part.end, 1)) for part in whole.segments] == [
        (whole.text, 0.2, 2.0)
    ]
    assert whole.vtt().startswith("WEBVTT\n\n00:00:00.200 -->")
    array, rate = soundfile.read(path, dtype="float32")
    assert runner.transcribe(str(path)) == runner.transcribe(path.read_bytes()) == whole
    assert runner.transcribe(array, rate=rate) == whole
    assert asyncio.run(AsyncRunner(runner).transcribe(path, language="en")).language == "en"


def test_a_connected_runner(server: Running, samples: Path, whole: TranscriptionResponse) -> None:
    with Runner.connect(f"http://127.0.0.1:{server.port}") as remote:
        found = remote.transcribe(samples / "digits.wav")
        assert (found.text, found.times, found.duration) == (whole.text, whole.times, whole.duration)
    with pytest.raises(RunnerError, match="This connection is closed"):
        remote.transcribe(samples / "digits.wav")


def test_what_is_wrong(runner: Runner, samples: Path) -> None:
    for given, message in (
        ({"audio": samples / "photo.jpg"}, "is an image"),
        ({"audio": 5}, "audio"),
        ({"audio": samples / "digits.wav", "window": 60}, "window must be from 1 to 30 seconds"),
        ({"audio": samples / "digits.wav", "jobs": 0}, "jobs must be at least 1"),
    ):
        with pytest.raises(RequestError, match=message):
            runner.transcribe(**given)
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(RunnerError, match="was stopped"):
        runner.transcribed(recording(samples / "digits.wav", stopped=stopped), None)
