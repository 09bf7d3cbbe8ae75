"""``--soundtrack``: the sound of a clip after its frames, cut as they are, in every face."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.errors import OptionError
from mistralrs_cli.families.runs import sound_note
from mistralrs_cli.media import decode, ffmpeg, in_parts
from mistralrs_cli.media.reading import read_media
from mistralrs_cli.media.served import as_sent
from mistralrs_cli.media.video import VideoSampling
from mistralrs_cli.messages import DecodedMedia, MediaBytes, MediaFile, MediaOptions
from mistralrs_cli.options import MediaPolicy
from mistralrs_cli.protocol import conversation
from tests.checkpoints.media import audio_of
from tests.fake_model import FakeFamily, FakeModels

Captured = pytest.CaptureFixture[str]
POLICY = MediaPolicy()


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Path:
    """A clip of two seconds with three beeps."""
    path = tmp_path_factory.mktemp("clips") / "talk.mkv"
    media = ("-i", str(samples / "clip.mp4"), "-i", str(samples / "beeps.wav"))
    subprocess.run(
        [ffmpeg.executable(), "-loglevel", "error", *media, "-c:v", "copy", "-c:a", "flac", str(path)], check=True
    )
    return path


def parts(path: Path, **options: object) -> list[tuple[str, DecodedMedia]]:
    medium = MediaFile("video", str(path), path, options=MediaOptions(**options))  # type: ignore[arg-type]
    return [
        (part.kind, decode(part, POLICY))
        for part in in_parts(medium, POLICY)
        if isinstance(part, MediaBytes | MediaFile)
    ]


def test_a_clip_becomes_its_frames_and_its_sound(talk: Path, samples: Path) -> None:
    assert [kind for kind, _ in parts(talk)] == ["video"]
    assert [kind for kind, _ in parts(talk, soundtrack=True)] == ["video", "audio"]
    beeps = decode(MediaFile("audio", "beeps.wav", samples / "beeps.wav"), POLICY)
    (_, audio) = parts(talk, soundtrack=True)[1]
    np.testing.assert_allclose(audio_of(audio).samples, audio_of(beeps).samples, atol=1e-4)


def test_the_sound_is_cut_as_the_frames_are(talk: Path) -> None:
    whole, cut = (audio_of(parts(talk, soundtrack=True, **how)[1][1]) for how in ({}, {"start": 0.5, "end": 1.25}))
    np.testing.assert_array_equal(cut.samples, whole.samples[8_000:20_000])


def test_a_clip_without_sound_is_its_frames_alone(samples: Path) -> None:
    for name in ("clip.mp4", "clip.gif"):
        data = (samples / name).read_bytes()
        medium = MediaBytes("video", name, data, options=MediaOptions(soundtrack=True))
        assert in_parts(medium, POLICY) == (medium,)


@pytest.mark.parametrize(
    ("hears", "soundtrack", "said", "silent"),
    [
        (True, None, ", its sound not given (--soundtrack)", ""),
        (True, True, "", ", without sound of its own"),
        (False, None, "", ""),
    ],
)
def test_the_report_says_what_became_of_the_sound(
    talk: Path, samples: Path, hears: bool, soundtrack: bool | None, said: str, silent: str
) -> None:
    for path, expected in ((talk, said), (samples / "clip.mp4", silent)):
        _, medium = parts(path, soundtrack=soundtrack, frames=1)[0]
        assert sound_note(medium, hears=hears) == expected


def test_the_demo_model_counts_the_beeps_of_a_clip(talk: Path, capsys: Captured) -> None:
    words = [
        "run",
        "--no-attach",
        "--no-stdin",
        "--temperature",
        "0",
        "-i",
        "How many beeps do you hear?",
        "--video",
        str(talk),
    ]
    assert main([*words, "--soundtrack", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "three high beeps" in found["answer"]
    assert [medium["kind"] for medium in found["media"]] == ["video", "audio"]
    assert found["usage"]["audio_tokens"] > 0


def test_a_model_that_does_not_hear_says_so(talk: Path, capsys: Captured) -> None:
    family = FakeFamily()
    family.modalities = frozenset({"image", "video"})
    models = FakeModels("no", family=family)
    assert main(["run", "-m", "M", "-i", "What?", "--no-stdin", "--video", str(talk), "--soundtrack"], models) == 4
    err = capsys.readouterr().err
    assert "M does not read audio" in err
    assert "Leave out --soundtrack" in err


def test_a_request_asks_for_the_sound(talk: Path) -> None:
    video = {"url": talk.as_uri(), "soundtrack": True, "num_frames": 2}
    content = [{"type": "video_url", "video_url": video}, {"type": "text", "text": "What?"}]
    messages = conversation([{"role": "user", "content": content}])
    (read,) = read_media(messages, POLICY, rate=16_000, sampling=VideoSampling())
    assert [medium.kind for medium in read.media] == ["video", "audio"]


def test_a_server_of_somebody_else_gets_the_sound_as_wav(talk: Path) -> None:
    clip = MediaBytes("video", "talk.mkv", talk.read_bytes(), options=MediaOptions(soundtrack=True))
    assert as_sent(clip, POLICY, ours=True) == (clip,)
    video, sound = as_sent(clip, POLICY, ours=False)
    assert (video.data, video.options, sound.kind, sound.data[:4]) == (clip.data, MediaOptions(), "audio", b"RIFF")
    heard = audio_of(decode(sound, POLICY)).samples
    (_, track) = parts(talk, soundtrack=True)[1]
    np.testing.assert_allclose(heard, audio_of(track).samples, atol=1e-4)
    with pytest.raises(OptionError, match="--video-end"):
        as_sent(replace(clip, options=MediaOptions(end=1.0)), POLICY, ours=False)
