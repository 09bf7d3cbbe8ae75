"""The demo model writes down three minutes of digits and beeps, with their times."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mistralrs_cli.cli.app import main
from mistralrs_cli.decoded import DecodedAudio
from mistralrs_cli.engine import Engine
from mistralrs_cli.messages import DecodedMedia
from mistralrs_cli.options import Sampling
from mistralrs_cli.speech.transcribe import SpeechOptions, transcribe
from mistralrs_cli.speech.transcript import Transcript
from mistralrs_cli.speech.windows import Cutting, cut
from tests.speech.conftest import Started
from tests.speech.recording import RATE, Said, Samples, draw, heard, words

Captured = pytest.CaptureFixture[str]
DIGITS = ["three", "seven", "one", "one", "three", "seven", "seven", "one", "three", "three", "one", "seven"]


@pytest.fixture(scope="module")
def recording(samples: Path) -> tuple[Samples, list[Said]]:
    """Twelve digits and three times three beeps, in three minutes."""
    spoken, beeps = words(samples), heard(samples, "beeps.wav")
    times = np.random.default_rng(7).uniform(2.5, 18, 15).cumsum()
    parts = [(float(time), digit, spoken[digit]) for time, digit in zip(times, DIGITS, strict=False)]
    parts += [(float(time), "No speech. Three high beeps.", beeps) for time in times[12:]]
    return draw(parts, 180)


@pytest.fixture(scope="module")
def file(recording: tuple[Samples, list[Said]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "talk.wav"
    soundfile.write(path, recording[0], RATE, subtype="FLOAT")
    return path


def test_subtitles_of_three_minutes(
    file: Path, recording: tuple[Samples, list[Said]], models: Started, capsys: Captured
) -> None:
    assert main(["transcribe", str(file), "-o", str(file.with_suffix(".srt"))], models) == 0
    assert capsys.readouterr().out == ""
    cues = file.with_suffix(".srt").read_text(encoding="utf-8").strip().split("\n\n")
    assert len(cues) == len(recording[1])
    for number, (cue, said) in enumerate(zip(cues, recording[1], strict=True), 1):
        first, times, text = cue.split("\n")
        assert (first, text) == (str(number), said.text)
        found = [float(part) for part in re.findall(r"[\d.]+", times.replace(",", "."))]
        start, end = (60 * minutes + seconds for _, minutes, seconds in (found[:3], found[3:]))
        assert start == pytest.approx(said.start, abs=0.1)
        assert end == pytest.approx(said.end, abs=0.1)


def test_windows_are_what_a_hand_would_cut(engine: Engine, recording: tuple[Samples, list[Said]]) -> None:
    """Token for token what each stretch of the recording gives by itself, however many are in the model at a time."""
    audio = recording[0]
    transcript = Transcript()
    windows = list(cut(iter([audio]), RATE, Cutting()))
    found = list(transcribe(engine, iter(windows), RATE, SpeechOptions(), Sampling(temperature=0.0), transcript))
    for segment, said in zip(found[:4], recording[1], strict=False):
        begin = round(segment.start / 0.02 - 10) * RATE // 50
        end = round(segment.end / 0.02 + 10) * RATE // 50
        alone = DecodedMedia("audio", "by hand", DecodedAudio(audio[begin:end], RATE))
        messages, inputs = engine.transcription(alone)
        assert inputs == {}
        assert engine.generate(messages, Sampling(temperature=0.0)).text == segment.text == said.text


def test_long_windows_hold_several_digits(models: Started, samples: Path, tmp_path: Path, capsys: Captured) -> None:
    spoken = words(samples)
    audio, _ = draw([(0.5 + 0.9 * at, each, spoken[each]) for at, each in enumerate(("three", "seven", "one"))], 4)
    soundfile.write(tmp_path / "a.flac", audio, RATE)
    assert main(["transcribe", str(tmp_path / "a.flac"), "--pause", "2", "--format", "verbose_json"], models) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"] == "three seven one"
    assert (found["times"], len(found["segments"]), found["duration"]) == ("window", 1, 4.0)
