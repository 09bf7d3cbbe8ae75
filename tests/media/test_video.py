"""Clips: the exact frames, their times, rotation, odd files and limits."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mistralrs_cli.decoded import DecodedVideo
from mistralrs_cli.errors import MediaDecodeError, MediaError, MediaTooLarge, OptionError
from mistralrs_cli.media import VideoSampling, decode_video, ffmpeg
from mistralrs_cli.media import video_ffmpeg as film_module
from mistralrs_cli.media.packets import read_packets
from mistralrs_cli.media.streams import Stream, read_streams
from mistralrs_cli.messages import MediaOptions
from mistralrs_cli.options import MediaPolicy

from .conftest import POLICY, colour, convert, film, number, numbers

pytestmark = pytest.mark.slow

WHOLE, EVENLY = MediaOptions(), VideoSampling()


def read(path: Path, options: MediaOptions = WHOLE, sampling: VideoSampling = EVENLY) -> DecodedVideo:
    return decode_video(path.read_bytes(), path.name, options, sampling, POLICY)


def test_default_is_32_frames_spread_evenly(painted: Path) -> None:
    clip = read(painted)
    assert clip.indices == tuple(index * 100 // 32 for index in range(32))
    assert numbers(clip.frames) == list(clip.indices)
    assert (clip.total, clip.fps, clip.seconds) == (100, 10.0, 10.0)
    assert (clip.width, clip.height, clip.frames.shape) == (64, 48, (32, 48, 64, 3))
    assert clip.times == tuple(index / 10 for index in clip.indices)


@pytest.mark.parametrize(
    ("options", "sampling", "expected"),
    [
        (MediaOptions(frames=4), VideoSampling(), [0, 25, 50, 75]),
        (MediaOptions(frames=1), VideoSampling(), [0]),
        (MediaOptions(frames=500), VideoSampling(), list(range(100))),
        (MediaOptions(fps=1), VideoSampling(), list(range(0, 100, 10))),
        (MediaOptions(fps=2, frames=5), VideoSampling(), [0, 20, 40, 60, 80]),
        (MediaOptions(fps=1000), VideoSampling(), list(range(100))),
        (MediaOptions(start=9), VideoSampling(), list(range(90, 100))),
        (MediaOptions(start=2, end=4, frames=4), VideoSampling(), [20, 25, 30, 35]),
        (MediaOptions(start=2.05, end=2.06), VideoSampling(), [20]),
        (MediaOptions(end=0.3), VideoSampling(), [0, 1, 2]),
        (MediaOptions(end=999, frames=2), VideoSampling(), [0, 50]),
        (MediaOptions(start=5, fps=2), VideoSampling(), [50, 55, 60, 65, 70, 75, 80, 85, 90, 95]),
        (MediaOptions(), VideoSampling(fps=0.5, minimum=4), [0, 20, 40, 60, 80]),
        (MediaOptions(), VideoSampling(fps=0.1, minimum=4), [0, 25, 50, 75]),
        (MediaOptions(), VideoSampling(fps=2, maximum=10), list(range(0, 100, 10))),
        (MediaOptions(frames=3), VideoSampling(fps=2, minimum=4), [0, 33, 66]),
    ],
)
def test_sampling(painted: Path, options: MediaOptions, sampling: VideoSampling, expected: list[int]) -> None:
    clip = read(painted, options, sampling)
    assert numbers(clip.frames) == expected == list(clip.indices)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (MediaOptions(start=4, end=2), "not after its start"),
        (MediaOptions(start=2, end=2), "not after its start"),
        (MediaOptions(end=0), "not after its start"),
        (MediaOptions(start=-1), "cannot start"),
        (MediaOptions(frames=0), "0 frames"),
        (MediaOptions(fps=0), "0 frames per second"),
        (MediaOptions(fps=float("nan")), "nan frames per second"),
        (MediaOptions(fps=1e9), "more than any video has"),
    ],
)
def test_options_that_fit_no_clip(painted: Path, options: MediaOptions, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        read(painted, options)


def test_start_beyond_the_end(painted: Path) -> None:
    with pytest.raises(MediaError, match=r"clip.mp4 lasts 10.00 s and cannot start at 10 s"):
        read(painted, MediaOptions(start=10))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("c.mov", ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        ("c.mkv", ["-c:v", "ffv1"]),
        ("c.webm", ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "5", "-b:v", "1M"]),
        ("c.avi", ["-c:v", "mpeg4", "-bf", "2", "-q:v", "2"]),
        ("c.m4v", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]),
        ("c.ts", ["-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-r", "25"]),
        ("c.flv", ["-c:v", "flv1", "-q:v", "2"]),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: list[str]) -> None:
    clip = read(film(tmp_path / name, 20, *codec, fps="25"))
    assert numbers(clip.frames) == list(range(20))
    assert clip.fps == pytest.approx(25, rel=0.01)


def test_one_frame(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "one.mp4", 1, "-pix_fmt", "yuv420p"))
    assert (numbers(clip.frames), clip.indices, clip.total, clip.fps) == ([0], (0,), 1, 10.0)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_phone_video_is_turned_upright(tmp_path: Path, angle: int) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = (250, 20, 20)  # red, upper left
    stored = np.rot90(upright, angle // 90)
    plain, rotated = tmp_path / "plain.mp4", tmp_path / "rotated.mp4"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{stored.shape[1]}x{stored.shape[0]}", "-i", "-"]
    convert(*raw, "-pix_fmt", "yuv420p", str(plain), data=stored.tobytes())
    convert("-display_rotation", str(-angle % 360), "-i", str(plain), "-c", "copy", str(rotated))
    clip = read(rotated)
    assert (clip.width, clip.height) == (96, 64)
    assert clip.frames.shape == (1, 64, 96, 3)
    frame = clip.frames[0]
    assert frame[10, 10, 0] > 200
    for row, column in ((10, 80), (50, 10), (50, 80)):
        assert frame[row, column].max() < 50


def test_variable_rate_keeps_the_real_times(tmp_path: Path) -> None:
    path = film(tmp_path / "vfr.mkv", 10, "-vf", "setpts=N*N/TB/10", "-fps_mode", "passthrough", "-c:v", "ffv1")
    clip = read(path)
    assert numbers(clip.frames) == list(range(10))
    assert clip.times == pytest.approx([index * index / 10 for index in range(10)], abs=0.002)
    # what is on screen at 0, 1, 2 … seconds
    assert read(path, MediaOptions(fps=1)).indices == (0, 3, 4, 5, 6, 7, 8)


def test_edit_list_counts_only_what_is_shown(tmp_path: Path, painted: Path) -> None:
    cut = tmp_path / "cut.mp4"
    convert("-ss", "3.05", "-i", str(painted), "-c", "copy", str(cut))  # an edit list hides frames 24 to 30
    clip = read(cut, MediaOptions(frames=3))
    shown = read(cut, MediaOptions(frames=500))
    assert numbers(shown.frames) == list(range(100 - shown.total, 100))
    assert numbers(clip.frames) == [numbers(shown.frames)[index] for index in clip.indices]
    assert clip.indices == tuple(index * clip.total // 3 for index in range(3))


def test_moov_at_the_start_or_end(tmp_path: Path, painted: Path) -> None:
    fast = tmp_path / "fast.mp4"
    convert("-i", str(painted), "-c", "copy", "-movflags", "+faststart", str(fast))
    assert numbers(read(fast).frames) == numbers(read(painted).frames)


def test_pixels_are_made_square(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "wide.mp4", 2, "-vf", "setsar=2/1", "-pix_fmt", "yuv420p"))
    assert clip.frames.shape == (2, 48, 128, 3)
    assert (clip.width, clip.height) == (128, 48)


def test_size_change_in_the_middle(tmp_path: Path) -> None:
    one, two = film(tmp_path / "1.ts", 5, "-pix_fmt", "yuv420p"), tmp_path / "2.ts"
    film(two, 5, "-pix_fmt", "yuv420p", "-output_ts_offset", "0.5", size=(128, 96))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    clip = read(both)
    assert clip.total == 9  # the demuxer loses the frame before the seam
    assert numbers(clip.frames) == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert clip.frames.shape[1:] == (48, 64, 3)


def test_frames_are_scaled_down_to_fit_in_memory(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "MEMORY", 20 * 15 * 3 * 10)
    clip = read(painted, MediaOptions(frames=10))
    assert clip.frames.shape == (10, 15, 20, 3)
    assert (clip.width, clip.height) == (64, 48)
    assert numbers(clip.frames) == list(range(0, 100, 10))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("c.mp4", ["-c:v", "libx264"]),
        ("c.mov", ["-c:v", "libx264", "-x264-params", "open-gop=1"]),
        ("c.mkv", ["-c:v", "libx264", "-x264-params", "open-gop=1"]),
        ("c.mp4", ["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "open-gop=1:log-level=none"]),
        ("c.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime"]),
    ],
)
def test_long_films_are_not_decoded_whole(
    tmp_path: Path, name: str, codec: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / name, 512, *codec, "-g", "20", "-pix_fmt", "yuv420p", fps="30000/1001")
    whole = read(path, MediaOptions(frames=512))
    monkeypatch.setattr(film_module._Reader, "all", None)
    monkeypatch.setattr("mistralrs_cli.media.packets._OPENING", 0)
    spread = read(path, MediaOptions(frames=6))
    assert numbers(whole.frames) == list(range(512))
    assert spread.total == 512
    assert spread.indices == tuple(index * 512 // 6 for index in range(6))
    assert (spread.frames == whole.frames[list(spread.indices)]).all()
    cut = read(path, MediaOptions(start=10, end=11, frames=7))
    assert (cut.frames == whole.frames[list(cut.indices)]).all()
    assert all(10 - 0.05 <= time < 11 for time in cut.times)


def test_a_frame_that_is_not_where_the_index_says(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistralrs_cli.media.packets._OPENING", -20)
    tried = []
    real = film_module._Reader.around

    def around(self: film_module._Reader, runs: list[tuple[int, list[int]]], count: int) -> object:
        tried.append(real(self, [(key, [stamp + 1 for stamp in wanted]) for key, wanted in runs], count))
        return tried[-1]

    monkeypatch.setattr(film_module._Reader, "around", around)
    assert numbers(read(painted, MediaOptions(frames=4)).frames) == [0, 25, 50, 75]
    assert tried == [None]


def hdr(path: Path, level: int, transfer: str, size: str = "96x72") -> Path:
    """A grey video of 10 bits with this level (64 to 940) and BT.2020."""
    colours = f"setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}"
    convert(
        *("-f", "lavfi", "-i", f"color=white:s={size}:r=10:d=0.5,format=yuv444p10le", "-c:v", "libx264"),
        *("-vf", f"lutyuv=y={level}:u=512:v=512,{colours}", str(path)),
    )
    return path


@pytest.mark.parametrize(
    ("level", "transfer", "low", "high"),
    [
        (569, "smpte2084", 235, 250),  # white paper, 203 nits
        (723, "smpte2084", 252, 255),  # 1,000 nits
        (64, "smpte2084", 0, 2),
        (439, "smpte2084", 124, 132),  # 44 nits, a middle grey of the screen
        (721, "arib-std-b67", 235, 250),  # 75 % of the signal
        (721, "bt709", 186, 194),  # no HDR: as stored
        (721, "bt2020-10", 186, 194),
    ],
)
def test_hdr_is_shown_as_sdr(tmp_path: Path, level: int, transfer: str, low: int, high: int) -> None:
    clip = read(hdr(tmp_path / "x.mkv", level, transfer), MediaOptions(frames=2))
    assert low <= clip.frames.min() <= clip.frames.max() <= high
    assert ("(HDR) shown as SDR" in clip.note) == (transfer in ("smpte2084", "arib-std-b67"))


def test_hdr_of_an_odd_size(tmp_path: Path) -> None:
    clip = read(hdr(tmp_path / "x.mkv", 569, "smpte2084", "95x71"), MediaOptions(frames=2))
    assert clip.frames.shape == (2, 71, 95, 3)
    assert clip.frames.min() > 230


def test_wide_gamut_becomes_srgb(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    # (220, 20, 20) of the screen, by the matrix of BT.2020 and the curve of BT.1886
    chain = "format=gbrp,lutrgb=r=181:g=74:b=43,scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv444p10le"
    colours = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=bt2020-10"
    convert(
        *("-f", "lavfi", "-i", "color=white:s=96x72:r=10:d=0.5", "-vf", f"{chain},{colours}", "-c:v", "libx264"),
        str(path),
    )
    shown = read(path, MediaOptions(frames=1)).frames.reshape(-1, 3).mean(axis=0)
    assert np.abs(shown - [220, 20, 20]).max() < 5


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    convert("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path))
    with pytest.raises(MediaDecodeError, match=r"sound.mp4 has no video in it, only audio") as caught:
        read(path)
    assert "--audio" in str(caught.value.hint)


def test_cover_picture_is_no_video(tmp_path: Path) -> None:
    cover, path = tmp_path / "cover.png", tmp_path / "song.mp4"
    Image.new("RGB", (32, 32), "red").save(cover)
    convert(
        *("-f", "lavfi", "-i", "sine=duration=1", "-i", str(cover), "-map", "0", "-map", "1"),
        *("-c:v", "mjpeg", "-disposition:v", "attached_pic", str(path)),
    )
    with pytest.raises(MediaDecodeError, match="only audio"):
        read(path)


def test_damaged(tmp_path: Path, painted: Path) -> None:
    whole = painted.read_bytes()
    for data in (whole[:600], b"\0\0\0\x20ftypisom" + bytes(600), bytes(range(256)) * 9):
        with pytest.raises(MediaDecodeError, match=r"broken.mp4 cannot be read as a video: (?!.*mistralrs-)"):
            decode_video(data, "broken.mp4", MediaOptions(), VideoSampling(), POLICY)


@pytest.mark.parametrize(
    ("policy", "options", "says"),
    [
        (MediaPolicy(pixels=3000), MediaOptions(), "64×48 pixels a frame"),
        (MediaPolicy(seconds=9), MediaOptions(), "lasts 10 s"),
        (MediaPolicy(frames=50), MediaOptions(frames=51), "at most 50"),
    ],
)
def test_limits(painted: Path, policy: MediaPolicy, options: MediaOptions, says: str) -> None:
    with pytest.raises(MediaTooLarge, match=says):
        decode_video(painted.read_bytes(), "clip.mp4", options, VideoSampling(), policy)


def test_playlists_read_nothing(tmp_path: Path, painted: Path) -> None:
    playlists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{painted}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{painted}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in playlists.items():
        what = "a playlist" if name == "hls" else "a text file"
        with pytest.raises(MediaDecodeError, match=f"is {what}, not a video"):
            decode_video(text.encode(), "list.m3u8", MediaOptions(), VideoSampling(), POLICY)
        # and even past the first gate, ffmpeg itself is not allowed to follow them
        with ffmpeg.stored(text.encode(), "list.m3u8", POLICY) as file:
            assert not read_streams(file).streams
            with pytest.raises(MediaDecodeError, match="cannot be read"):
                read_packets(file, Stream(0, "video", "h264"))


def test_temporary_files_and_processes_are_gone(tmp_path: Path, painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*args: object, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    read(painted)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ffmpeg, "read_ppm", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(painted)
    assert len(started) == 6
    assert all(process.returncode is not None for process in started)
    assert list(tmp_path.iterdir()) == []


def test_endless_decoding_is_stopped(painted: Path) -> None:
    policy = MediaPolicy(decode_seconds=0)
    with pytest.raises(MediaTooLarge, match="takes longer than 0 s"):
        decode_video(painted.read_bytes(), "clip.mp4", MediaOptions(), VideoSampling(), policy)


def test_no_ffmpeg_says_what_to_install(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", "")
    ffmpeg.executable.cache_clear()
    try:
        with pytest.raises(MediaError, match="needs ffmpeg") as caught:
            read(painted)
    finally:
        ffmpeg.executable.cache_clear()
    assert caught.value.hint == "Run: pip install imageio-ffmpeg"


def animation(path: Path, count: int, duration: int | list[int] = 50, **options: Any) -> Path:
    frames = [Image.new("RGB", (16, 12), colour(index)) for index in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, loop=0, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"), [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {}), ("a.avif", {"quality": 100})]
)
def test_animations(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    count = 12 if name == "a.avif" else 300
    clip = read(animation(tmp_path / name, count, **options))
    expected = [index * count // 32 for index in range(32)] if count > 32 else list(range(count))
    assert numbers(clip.frames) == expected == list(clip.indices)
    assert (clip.total, clip.width, clip.height) == (count, 16, 12)
    assert clip.fps == pytest.approx(20)


def test_gif_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "one.gif"
    Image.new("RGB", (16, 12), colour(5)).save(path)
    clip = read(path)
    assert (numbers(clip.frames), clip.total, clip.times) == ([5], 1, (0.0,))


def test_gif_durations_are_its_times(tmp_path: Path) -> None:
    clip = read(animation(tmp_path / "a.gif", 4, [100, 500, 0, 400]))
    assert clip.times == (0.0, 0.1, 0.6, 0.7)  # a duration of 0 is shown for a tenth of a second, as browsers do
    assert clip.seconds == pytest.approx(1.1)
    assert read(tmp_path / "a.gif", MediaOptions(fps=2)).indices == (0, 1, 3)


def test_gif_frames_are_composited(tmp_path: Path) -> None:
    path = tmp_path / "layers.gif"
    frames = [Image.new("RGBA", (20, 20), "red"), Image.new("RGBA", (20, 20)), Image.new("RGBA", (20, 20))]
    frames[1].paste("blue", (0, 0, 10, 10))
    frames[2].paste("lime", (10, 10, 20, 20))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, disposal=[1, 3, 1])
    first, second, third = read(path).frames
    assert first[5, 5].tolist() == [255, 0, 0]
    assert second[5, 5].tolist() == [0, 0, 255]
    assert second[15, 5].tolist() == [255, 0, 0]
    assert third[5, 5].tolist() == [255, 0, 0]  # the blue square was taken away again
    assert third[15, 15].tolist() == [0, 255, 0]


def test_still_picture_is_no_video(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        with pytest.raises(MediaDecodeError, match="is an image") as caught:
            read(tmp_path / name)
        assert caught.value.hint == "Give it with --image."


def test_number_reads_what_colour_paints() -> None:
    assert [number(np.full((1, 1, 3), colour(index), np.uint8)) for index in (0, 7, 63, 299)] == [0, 7, 63, 299]
