"""``mistralrs transcribe`` through ``main``: what goes in and comes out, and what is wrong with it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mistralrs_cli.cli.app import main
from tests.fake_model import FakeFamily, FakeModels
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def fake() -> FakeModels:
    return FakeModels("one two", family=FakeFamily())


def test_text_goes_to_stdout(fake: FakeModels, samples: Path, capsys: Captured) -> None:
    line = ["transcribe", str(samples / "digits.wav"), "-m", "M", "--language", "en", "--prompt", "Ada", "--translate"]
    assert main(line, fake) == 0
    assert capsys.readouterr() == ("one two\n", "")
    assert fake.text == "language=en translate=True prompt=Ada"
    assert fake.calls == ["open", "load", "close"]
    assert fake.sampling.temperature == 0.0


@pytest.mark.parametrize("name", ["beeps.mp3", "beeps.m4a", "beeps.ogg", "beeps.flac"])
def test_formats_of_audio(fake: FakeModels, samples: Path, name: str, capsys: Captured) -> None:
    assert main(["transcribe", str(samples / name), "--format", "json", "-q"], fake) == 0
    assert json.loads(capsys.readouterr().out) == {"text": "one two"}


def test_the_end_of_the_output_decides_the_format(fake: FakeModels, samples: Path, tmp_path: Path) -> None:
    for suffix, begins in (("vtt", "WEBVTT\n\n00:00:00."), ("srt", "1\n00:00:00,"), ("json", '{"text"'), ("md", "one")):
        target = tmp_path / f"a.{suffix}"
        assert main(["transcribe", str(samples / "digits.wav"), "-o", str(target), "-q"], fake) == 0
        assert target.read_text(encoding="utf-8").startswith(begins)


def test_a_file_that_fails_leaves_the_others(fake: FakeModels, samples: Path, tmp_path: Path, capsys: Captured) -> None:
    files = [str(samples / name) for name in ("photo.jpg", "digits.wav", "clip.mp4", "missing.wav", "rising.wav")]
    assert main(["transcribe", *files, "-o", str(tmp_path / "out"), "--format", "srt", "-m", "M"], fake) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["digits.srt", "rising.srt"]
    error = capsys.readouterr().err
    assert "photo.jpg is an image (JPEG), not audio" in error
    assert "clip.mp4 has no audio in it, only video" in error
    assert "No such file" in error
    assert "times are those of windows cut at pauses: M gives none of its own" in error


def test_a_recording_is_never_written_over(fake: FakeModels, samples: Path, tmp_path: Path, capsys: Captured) -> None:
    recording = tmp_path / "talk.txt"  # what a file is, its bytes say
    recording.write_bytes((samples / "digits.wav").read_bytes())
    before = recording.read_bytes()
    for output in (recording, tmp_path):
        assert main(["transcribe", str(recording), "-o", str(output), "-m", "M"], fake) == 2
        assert f"-o would write over the recording {recording}" in capsys.readouterr().err
    assert recording.read_bytes() == before


def test_nothing_is_loaded_where_no_file_can_be_read(fake: FakeModels, samples: Path, capsys: Captured) -> None:
    assert main(["transcribe", str(samples / "clip.mp4")], fake) == 4
    assert fake.calls == []
    assert capsys.readouterr().err.endswith("hint: Give audio, or a video with an audio track.\n")


def test_several_files_are_told_apart(fake: FakeModels, samples: Path, capsys: Captured) -> None:
    files = [str(samples / name) for name in ("digits.wav", "rising.wav")]
    assert main(["transcribe", *files, "-q"], fake) == 0
    assert capsys.readouterr().out == f"==> {files[0]} <==\none two\n==> {files[1]} <==\none two\n"
    assert main(["transcribe", *files, "--format", "json", "-q"], fake) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{"file": name, "text": "one two"} for name in files]


def test_silence_has_no_text(fake: FakeModels, tmp_path: Path, capsys: Captured) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32_000), 16_000)
    assert main(["transcribe", str(tmp_path / "quiet.wav"), "-m", "M"], fake) == 0
    out, error = capsys.readouterr()
    assert (out, fake.asked) == ("", [])
    assert "no speech in 0:02 of audio" in error


def test_audio_from_stdin(fake: FakeModels, samples: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin((samples / "digits.wav").read_bytes()))
    assert main(["transcribe", "-", "-m", "M"], fake) == 0
    assert capsys.readouterr().out == "one two\n"


def test_ctrl_c_keeps_what_is_written(fake: FakeModels, samples: Path, tmp_path: Path, capsys: Captured) -> None:
    audio, rate = soundfile.read(samples / "digits.wav")
    soundfile.write(tmp_path / "a.wav", np.concatenate([audio, np.zeros(rate), audio]), rate)
    fake.answers = ["one two", ["th", KeyboardInterrupt()]]
    target = tmp_path / "a.txt"
    assert main(["transcribe", str(tmp_path / "a.wav"), "-o", str(target), "-m", "M"], fake) == 130
    assert target.read_text(encoding="utf-8") == "one two\n"
    assert "stopped: what is written of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--format docx", "There is no format 'docx'."),
        ("--window 60", "must be from 1 to 30"),
        ("--jobs 0", "must be at least 1"),
        ("other.wav --format srt", "2 recordings make as many srt files."),
        ("other.wav -o EXISTING", "for 2 recordings"),
        ("-o nowhere/at/all.srt", "There is no folder nowhere"),
    ],
)
def test_options_that_make_no_sense(
    fake: FakeModels, line: str, message: str, samples: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "there.txt").touch()
    words = line.replace("EXISTING", str(tmp_path / "there.txt")).split()
    assert main(["transcribe", str(samples / "digits.wav"), *words], fake) == 2
    assert message in capsys.readouterr().err
    assert fake.calls == []
