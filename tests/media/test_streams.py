"""Containers with several streams: the one that players take, and a note that names the others."""

from pathlib import Path

import numpy as np
import pytest

from mistralrs_cli.errors import MediaDecodeError
from mistralrs_cli.media import VideoSampling, decode_audio, decode_video, ffmpeg
from mistralrs_cli.media.streams import Stream, read_streams
from mistralrs_cli.messages import MediaOptions

from .conftest import POLICY, convert

BEEP = ("-f", "lavfi", "-i", "aevalsrc=0.5*sin(880*PI*t):d=1")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=44100:cl=mono:d=1")
RED = ("-f", "lavfi", "-i", "color=red:s=96x72:r=10:d=1")
BLUE = ("-f", "lavfi", "-i", "color=blue:s=96x72:r=10:d=1")


def loud(path: Path) -> tuple[float, str]:
    """The peak of a sound, and its note."""
    sound = decode_audio(path.read_bytes(), path.name, 16_000, POLICY)
    return float(np.abs(sound.samples).max()), sound.note


@pytest.mark.parametrize("name", ["x.mka", "x.mp4", "x.mov"])
def test_the_default_sound_track(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec = ("-c:a", "aac", "-map", "0", "-map", "1", "-map", "0")
    marks = ("-disposition:a:0", "0", "-disposition:a:1", "default", "-disposition:a:2", "0")
    convert(*SILENCE, *BEEP, *codec, "-metadata:s:a:0", "language=ger", *marks, str(path))
    peak, note = loud(path)
    assert peak > 0.3
    assert note == "audio track 2 of 3, the default one (not taken: 1 ger, 3)"


def test_without_a_mark_the_first(tmp_path: Path) -> None:
    path = tmp_path / "x.mka"
    titles = ("-metadata:s:a:1", "title=Commentary\nStream #0:7: Audio: aac (default)", "-disposition:a", "0")
    convert(*BEEP, *SILENCE, "-map", "0", "-map", "1", "-c:a", "flac", *titles, str(path))
    peak, note = loud(path)
    assert peak == pytest.approx(0.5, abs=0.01)
    assert note.startswith("audio track 1 of 2 (not taken: 2 “Commentary")


def test_the_default_video_track(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    marks = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    convert(*BLUE, *RED, "-map", "0", "-map", "1", "-c:v", "libx264", *marks, str(path))
    clip = decode_video(path.read_bytes(), "x.mkv", MediaOptions(frames=2), VideoSampling(), POLICY)
    assert clip.frames[..., 0].min() > 200
    assert clip.note == "video track 2 of 2, the default one (not taken: 1)"


def test_covers_chapters_subtitles_and_timecodes_are_no_tracks(tmp_path: Path) -> None:
    cover, words, chapters = tmp_path / "c.png", tmp_path / "s.srt", tmp_path / "chapters.txt"
    convert(*BLUE, "-frames:v", "1", str(cover))
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n")
    path = tmp_path / "x.mov"
    inputs = (*RED, *BEEP, "-i", str(cover), "-i", str(words), "-i", str(chapters))
    chosen = ("-map", "2", "-map", "0", "-map", "1", "-map", "3", "-map_metadata", "4", "-timecode", "00:00:00:00")
    codecs = ("-c:v:0", "png", "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p", "-c:a", "aac", "-c:s", "mov_text")
    convert(*inputs, *chosen, *codecs, "-disposition:v:0", "attached_pic", str(path))
    clip = decode_video(path.read_bytes(), "x.mov", MediaOptions(frames=2), VideoSampling(), POLICY)
    assert clip.frames[..., 0].min() > 200
    assert (clip.note, loud(path)[1]) == ("", "")


@pytest.mark.parametrize("entry", [b"drms", b"enca", b"aavd"])
def test_protected(tmp_path: Path, entry: bytes) -> None:
    path = tmp_path / "x.m4a"
    convert(*BEEP, "-c:a", "aac", str(path))
    data = path.read_bytes().replace(b"mp4a", entry, 1)
    with pytest.raises(MediaDecodeError, match=r"song.m4p is protected \(DRM\)"):
        decode_audio(data, "song.m4p", 16_000, POLICY)


def test_what_ffmpeg_says_of_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    depth = ("-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")
    colours = ("-vf", "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084")
    convert(*RED, *BEEP, *depth, *colours, "-c:a", "aac", "-metadata:s:a:0", "language=fra", str(path))
    with ffmpeg.stored(path.read_bytes(), "x.mp4", POLICY) as file:
        found = read_streams(file)
    assert found.format == "mov,mp4,m4a,3gp,3g2,mj2"
    assert found.seconds == pytest.approx(1, abs=0.1)
    picture, sound = found.streams
    assert picture == Stream(
        0, "video", "hevc", True, language="und", width=96, height=72, matrix="bt2020nc", primaries="bt2020",
        transfer="smpte2084",
    )  # fmt: skip
    assert sound == Stream(1, "audio", "aac", True, language="fra")
