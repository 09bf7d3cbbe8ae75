"""Which kind of medium a file is, whatever its name and its container, and what it is where it is none."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from mistralrs_cli.errors import MediaDecodeError
from mistralrs_cli.media import decode
from mistralrs_cli.media.kinds import kind_of, kind_of_file
from mistralrs_cli.messages import MediaBytes, Modality

from .conftest import POLICY, convert

pytestmark = pytest.mark.slow

BEEP = ("-f", "lavfi", "-i", "aevalsrc=0.5*sin(880*PI*t):d=1")
MOVING = ("-f", "lavfi", "-i", "testsrc2=s=96x72:r=25:d=1")

SOUNDS = {
    "voice.webm": ("-c:a", "libopus"), "mp42.m4a": ("-c:a", "aac", "-f", "mp4"), "v.3gp": ("-c:a", "aac"),
    "only.mp4": ("-c:a", "aac"), "v.wma": (), "v.ts": ("-c:a", "aac"), "v.mp2": (), "v.ac3": (), "v.w64": (),
    "v.mka": ("-c:a", "flac"), "v.avi": ("-c:a", "libmp3lame"), "v.mov": ("-c:a", "aac"), "v.wv": (), "v.tta": (),
    "v.flv": ("-c:a", "aac"), "v.nut": (), "v.voc": (), "v.eac3": (), "v.dts": ("-c:a", "dca", "-strict", "-2"),
    "v.oga": ("-c:a", "flac"),
}  # fmt: skip
VIDEOS = {
    "v.h264": ("-c:v", "libx264"), "v.mxf": ("-c:v", "mpeg2video"), "v.ts": ("-c:v", "mpeg2video"),
    "v.m2ts": ("-c:v", "mpeg2video", "-mpegts_m2ts_mode", "1"), "v.hevc": ("-c:v", "libx265", "-x265-params",
    "log-level=none"), "v.webm": ("-c:v", "libvpx", "-deadline", "realtime"), "v.ivf": ("-c:v", "libvpx", "-deadline",
    "realtime"), "v.m4v": ("-c:v", "mpeg4", "-f", "mp4"), "v.y4m": (),
}  # fmt: skip


def check(data: bytes, kind: Modality) -> None:
    """The kind is found, the decoder takes it, and asking for a picture instead gives a clear refusal."""
    assert kind_of(data) == kind
    decode(MediaBytes(kind, "x", data), POLICY)
    noun = "audio" if kind == "audio" else f"a {kind}"
    with pytest.raises(MediaDecodeError, match=f"x is {noun} .*not an image") as got:
        decode(MediaBytes("image", "x", data), POLICY)
    assert got.value.hint == f"Give it with --{kind}."


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds(tmp_path: Path, name: str) -> None:
    convert(*BEEP, *SOUNDS[name], str(tmp_path / name))
    check((tmp_path / name).read_bytes(), "audio")
    assert kind_of_file(tmp_path / name) == "audio"
    with pytest.raises(MediaDecodeError, match=r"not a video|no video in it, only audio"):
        decode(MediaBytes("video", "x", (tmp_path / name).read_bytes()), POLICY)


@pytest.mark.parametrize("name", VIDEOS)
def test_videos(tmp_path: Path, name: str) -> None:
    convert(*MOVING, *VIDEOS[name], str(tmp_path / name))
    check((tmp_path / name).read_bytes(), "video")
    with pytest.raises(MediaDecodeError, match=r"x has no audio in it, only video|x is a video .*, not audio"):
        decode(MediaBytes("audio", "x", (tmp_path / name).read_bytes()), POLICY)


@pytest.mark.parametrize("form", ["TGA", "PCX", "DDS", "SGI", "ICNS", "ICO", "JPEG2000", "MPO"])
def test_pictures(form: str) -> None:
    file = BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, form)
    assert kind_of(file.getvalue()) == "image"
    with pytest.raises(MediaDecodeError, match=r"x is an image .*, not audio"):
        decode(MediaBytes("audio", "x", file.getvalue()), POLICY)


def zipped(*names: str) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def tarred() -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: b"<!-- drawn --><svg xmlns=''></svg>", "an SVG drawing"),
        (lambda: b"<!DOCTYPE html><html>404</html>", "a web page"),
        (lambda: zipped("[Content_Types].xml", "word/document.xml"), "a Word document"),
        (lambda: zipped("[Content_Types].xml", "ppt/presentation.xml"), "a PowerPoint presentation"),
        (lambda: zipped("a.txt"), "a ZIP archive"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an Office document"),
        (tarred, r"an archive \(tar\)"),
        (lambda: b"\x1f\x8b\x08" + bytes(30), "a compressed archive"),
        (lambda: b"\x7fELF" + bytes(60), "a program"),
        (lambda: b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96), "a MIDI file"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer"),
        (lambda: b"#EXTM3U\nhttp://x/1.ts\n", "a playlist"),
        (lambda: b"\0\x05\x16\x07" + bytes(78), "AppleDouble"),
        (lambda: bytes(4000), "nothing but zeros"),
        (lambda: "grüße".encode(), "a text file"),
        (lambda: b"v/1\x01\x02\0\0\0", "an OpenEXR image"),
    ],
)
@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_what_is_no_medium(make: Callable[[], bytes], says: str, kind: Modality) -> None:
    data = make()
    assert kind_of(data) is None
    with pytest.raises(MediaDecodeError, match=f"x is .*{says}.*, not a") as caught:
        decode(MediaBytes(kind, "x", data), POLICY)
    assert caught.value.hint
    assert "--" not in caught.value.hint


@pytest.mark.parametrize("data", [b"\xff", b"\x00\x01", b"RIFF", b"\x89PNG", b"GIF89a", bytes(range(1, 256)) * 40])
def test_what_nobody_knows(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    kind_of(data)
    for kind in ("image", "audio", "video"):
        with pytest.raises(MediaDecodeError) as caught:
            decode(MediaBytes(kind, "x", data), POLICY)
        assert caught.value.hint
    assert capfd.readouterr().err == ""
