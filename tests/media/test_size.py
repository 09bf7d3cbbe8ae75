"""What a header says of the memory that a medium will take."""

from pathlib import Path

import pytest

from mistralrs_cli.media import VideoSampling, decode, decoded_size, fetch
from mistralrs_cli.media.video_ffmpeg import MEMORY
from mistralrs_cli.messages import MediaBytes, MediaOptions, MediaRef, Modality
from mistralrs_cli.options import MediaPolicy
from mistralrs_cli.server.media import decoded_bytes

POLICY = MediaPolicy()


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("image", "red_circle.png", MediaOptions()),
        ("audio", "beeps.wav", MediaOptions()),
        ("video", "clip.mp4", MediaOptions()),
        ("video", "clip.mp4", MediaOptions(frames=3)),
        ("video", "clip.mp4", MediaOptions(fps=2.0)),
    ],
)
def test_it_is_what_decoding_makes(kind: Modality, name: str, options: MediaOptions, samples: Path) -> None:
    medium = fetch(MediaRef(kind, str(samples / name), options=options), POLICY)
    size = decoded_size(medium, POLICY, rate=8000, sampling=VideoSampling())
    real = decoded_bytes(decode(medium, POLICY, rate=8000))
    assert 0 < real <= size <= real + 4


def test_what_needs_no_look_gets_none(samples: Path) -> None:
    medium = fetch(MediaRef("video", str(samples / "clip.mp4")), POLICY)
    assert decoded_size(medium, POLICY, rate=8000, sampling=VideoSampling(), enough=MEMORY) == MEMORY


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_is_broken_is_left_for_decoding_to_say(kind: Modality) -> None:
    medium = MediaBytes(kind, "broken", data=b"\x89PNG\r\n\x1a\n nothing more")
    assert decoded_size(medium, POLICY, rate=8000, sampling=VideoSampling()) == 0


def test_a_sound_that_does_not_tell_its_length_may_be_as_long_as_is_allowed() -> None:
    medium = MediaBytes("audio", "unknown", data=b"no sound that is known")
    size = decoded_size(medium, MediaPolicy(seconds=10), rate=8000, sampling=VideoSampling())
    assert 10 * 8000 * 4 <= size <= 10 * 8000 * 4 + 4
