"""Local audio and videos are decoded from their place: the same samples, frames and errors as from their bytes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mistralrs_cli.decoded import DecodedAudio, DecodedVideo
from mistralrs_cli.errors import MediaError, MediaNotFound, MediaTooLarge
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.media.reading import read_media
from mistralrs_cli.media.sources import fetch_or_name
from mistralrs_cli.media.video import VideoSampling
from mistralrs_cli.messages import DecodedMedia, MediaBytes, MediaFile, MediaRef, Message, Modality
from tests.drift.source import ROOT

from .conftest import POLICY

MEDIA = ROOT / "examples/media"


def named(kind: Modality, path: Path | str) -> MediaFile:
    found = fetch_or_name(MediaRef(kind, str(path)), POLICY)
    assert isinstance(found, MediaFile)
    return found


def forbid_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a medium is copied for ffmpeg."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a copy is made")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)


@pytest.mark.parametrize("name", ["clip.mp4", "-y 100%d ?'ü.mp4"])
def test_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.copy(MEDIA / "clip.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    expected = decode(fetch(MediaRef("video", name), POLICY), POLICY).data
    forbid_copies(monkeypatch)
    video = decode(named("video", name), POLICY).data
    assert isinstance(video, DecodedVideo)
    assert isinstance(expected, DecodedVideo)
    np.testing.assert_array_equal(video.frames, expected.frames)
    assert replace(video, frames=expected.frames) == expected


@pytest.mark.parametrize("name", ["beeps.wav", "beeps.flac", "beeps.ogg", "beeps.mp3", "beeps.m4a"])
def test_audio(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    expected = decode(fetch(MediaRef("audio", str(MEDIA / name)), POLICY), POLICY).data
    forbid_copies(monkeypatch)
    audio = decode(named("audio", MEDIA / name), POLICY).data
    assert isinstance(audio, DecodedAudio)
    assert isinstance(expected, DecodedAudio)
    np.testing.assert_array_equal(audio.samples, expected.samples)


def test_images_other_sources_and_folders_of_a_policy_are_fetched(tmp_path: Path) -> None:
    clip = MEDIA / "clip.mp4"
    roots = replace(POLICY, local_roots=(str(MEDIA),))
    for medium, policy in (
        (MediaRef("image", str(MEDIA / "photo.jpg")), POLICY),
        (MediaRef("video", str(MEDIA / "clip.gif")), POLICY),
        (MediaRef("video", str(clip)), roots),
        (MediaBytes("video", "clip", data=clip.read_bytes()), POLICY),
    ):
        assert isinstance(fetch_or_name(medium, policy), MediaBytes)
    pipe = tmp_path / "pipe"
    shutil.copy(clip, tmp_path / "film")
    pipe.symlink_to(tmp_path / "film")
    assert isinstance(fetch_or_name(MediaRef("video", str(pipe)), POLICY), MediaFile)


@pytest.mark.parametrize("kind", ["audio", "video"])
@pytest.mark.parametrize("damage", ["cut", "noise", "nothing", "text", "image", "audio"])
def test_errors_are_those_of_the_bytes(tmp_path: Path, kind: Modality, damage: str) -> None:
    clip = (MEDIA / "clip.mp4").read_bytes()
    content = {
        "cut": clip[: len(clip) // 3],
        "noise": clip[:64] + bytes(range(256)) * 40,
        "nothing": b"",
        "text": b"only words\n" * 20,
        "image": (MEDIA / "photo.jpg").read_bytes(),
        "audio": (MEDIA / "beeps.mp3").read_bytes()[:3000],
    }[damage]
    path = tmp_path / "medium"
    path.write_bytes(content)
    medium = MediaRef(kind, str(path))

    def told(by: str) -> tuple[str, str, str | None] | None:
        try:
            decode((fetch_or_name if by == "name" else fetch)(medium, POLICY), POLICY)
        except MediaError as error:
            return type(error).__name__, error.message, error.hint
        return None

    assert told("name") == told("bytes")


def test_limits(tmp_path: Path) -> None:
    small = replace(POLICY, max_bytes=1000)
    with pytest.raises(MediaTooLarge, match="larger than the limit of 1000 bytes"):
        fetch_or_name(MediaRef("video", str(MEDIA / "clip.mp4")), small)
    with pytest.raises(MediaTooLarge, match="lasts"):
        decode(named("video", MEDIA / "clip.mp4"), replace(POLICY, seconds=0.5))
    path = tmp_path / "film.mp4"
    shutil.copy(MEDIA / "clip.mp4", path)
    found = named("video", path)
    path.unlink()
    with pytest.raises(MediaNotFound, match=r"Cannot read .*film\.mp4"):
        decode(found, POLICY)


def test_a_conversation_reads_from_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the file is read whole")

    monkeypatch.setattr("mistralrs_cli.media.sources.fetch", refuse)
    asked = Message("user", (MediaRef("video", str(MEDIA / "clip.mp4")),))
    (read,) = read_media([asked], POLICY, rate=16_000, sampling=VideoSampling(frames=2))
    (medium,) = read.media
    assert isinstance(medium, DecodedMedia)
    assert isinstance(medium.data, DecodedVideo)
    assert len(medium.data.frames) == 2
