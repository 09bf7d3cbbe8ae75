"""Media as people have them, good and bad, through ``main``: bad ones are found before any weights are read."""

import io
import shlex
import struct
import subprocess
import sys
import wave
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile
from PIL import Image

from mistralrs_cli.cli.app import main
from tests.fake_model import FakeModels

Captured = pytest.CaptureFixture[str]
Maker = Callable[[Path, Path], str]


def written(name: str, data: bytes) -> Maker:
    """A file with these bytes."""

    def make(folder: Path, samples: Path) -> str:
        path = folder / name
        path.write_bytes(data)
        return str(path)

    return make


def cut_sample(name: str, length: int) -> Maker:
    """The beginning of a sample file."""
    return lambda folder, samples: written(name, (samples / name).read_bytes()[:length])(folder, samples)


def renamed_sample(name: str, other: str) -> Maker:
    """A sample file under another name."""
    return lambda folder, samples: written(other, (samples / name).read_bytes())(folder, samples)


def bomb() -> bytes:
    """A PNG of a few bytes that claims 50,000 × 50,000 pixels."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(1000)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


def animation(format: str, frames: int) -> bytes:
    """A moving picture of that many frames."""
    images = [Image.new("RGB", (32, 24), (step % 256, 255 - step % 256, step // 2 % 256)) for step in range(frames)]
    buffer = io.BytesIO()
    images[0].save(buffer, format, save_all=True, append_images=images[1:], duration=40)
    return buffer.getvalue()


def sound(channels: int, subtype: str) -> bytes:
    """A tenth of a second of WAV."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((1600, channels)), 16_000, format="WAV", subtype=subtype)
    return buffer.getvalue()


def empty_wave() -> bytes:
    """A WAV with a header and no samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "none"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("flag", "make", "said"),
    [
        ("--image", lambda folder, samples: str(folder / "nowhere.jpg"), "nowhere.jpg"),
        ("--image", lambda folder, samples: str(folder), "folder"),
        ("--image", written("empty.png", b""), "empty"),
        ("--image", written("notes.png", b"just words\n" * 20), "notes.png"),
        ("--image", cut_sample("photo.jpg", 900), "photo.jpg"),
        ("--image", written("bomb.png", bomb()), "pixels"),
        ("--image", renamed_sample("beeps.wav", "sound.png"), "sound.png"),
        ("--audio", written("empty.wav", b""), "empty"),
        ("--audio", written("silent.wav", empty_wave()), "silent.wav"),
        ("--audio", written("wrong.wav", b"RIFF\x00\x00\x00\x00WAVEjunkjunkjunk"), "wrong.wav"),
        ("--audio", renamed_sample("red_circle.png", "picture.wav"), "picture.wav"),
        ("--video", renamed_sample("beeps.m4a", "sound.mp4"), "sound.mp4"),
        ("--video", cut_sample("clip.mp4", 300), "clip.mp4"),
        ("--image", lambda folder, samples: "data:image/png;base64,@@@@", "base64"),
        ("--image", lambda folder, samples: "ftp://example.org/a.png", "ftp"),
        ("--image", lambda folder, samples: "http://127.0.0.1:1/a.png", "127.0.0.1"),
    ],
)
def test_bad_media_are_4_before_any_weights(
    flag: str, make: Maker, said: str, models: FakeModels, tmp_path: Path, samples: Path, capsys: Captured
) -> None:
    assert main(["run", "-m", "M", flag, make(tmp_path, samples), "-i", "x"], models) == 4
    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    assert out == ""
    assert said in error
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert "load" not in models.calls


@pytest.mark.parametrize(
    ("flag", "make"),
    [
        ("--audio", written("many.wav", sound(8, "PCM_16"))),
        ("--audio", written("double.wav", sound(1, "DOUBLE"))),
        ("--audio", renamed_sample("beeps.m4a", "beeps.m4a")),
        ("--video", written("one.gif", animation("GIF", 1))),
        ("--video", written("many.gif", animation("GIF", 300))),
        ("--video", written("moving.webp", animation("WEBP", 12))),
        ("--video", renamed_sample("clip.webm", "größe & mehr.mp4")),
        ("--image", renamed_sample("photo.jpg", "photo.txt")),
    ],
)
def test_odd_but_good_media_are_read(flag: str, make: Maker, models: FakeModels, tmp_path: Path, samples: Path) -> None:
    assert main(["run", "-m", "M", flag, make(tmp_path, samples), "-i", "x"], models) == 0
    assert tuple(models.calls) == models.whole


@pytest.mark.parametrize(
    ("make", "noted"),
    [
        (written("many.gif", animation("GIF", 3)), True),
        (written("one.gif", animation("GIF", 1)), False),
        (written("moving.webp", animation("WEBP", 12)), True),
        (written("cut.gif", animation("GIF", 3)[:-40]), True),
        (renamed_sample("photo.jpg", "photo.jpg"), False),
    ],
)
def test_a_picture_that_moves_is_not_cut_in_silence(
    make: Maker, noted: bool, models: FakeModels, tmp_path: Path, samples: Path, capsys: Captured
) -> None:
    assert main(["run", "-m", "M", "--image", make(tmp_path, samples), "-i", "x"], models) == 0
    out, err = capsys.readouterr()
    assert out == "It is red.\n"
    assert ("is animated; only its first image is used." in err) == noted


def test_a_damaged_sound_is_said_in_words(models: FakeModels, tmp_path: Path, capsys: Captured) -> None:
    data = bytearray(sound(1, "PCM_16"))
    data[20:22] = b"\x99\x99"
    path = tmp_path / "odd.wav"
    path.write_bytes(data)
    assert main(["run", "-m", "M", "--audio", str(path), "-i", "x"], models) == 4
    error = capsys.readouterr().err
    assert "odd.wav begins like WAV but is damaged: " in error
    assert "object at" not in error
    assert "Error opening" not in error


@pytest.mark.parametrize("flag", ["--image", "--audio", "--video"])
def test_a_modality_the_model_lacks_is_4(flag: str, models: FakeModels, samples: Path, capsys: Captured) -> None:
    sample = {"--image": "photo.jpg", "--audio": "beeps.wav", "--video": "clip.gif"}[flag]
    models.family.modalities = frozenset()
    assert main(["run", "-m", "M", flag, str(samples / sample), "-i", "x"], models) == 4
    assert f"M does not read {flag[2:]}" in capsys.readouterr().err
    assert "load" not in models.calls


def test_bad_bytes_come_before_the_model(models: FakeModels, samples: Path) -> None:
    assert main(["run", "-m", "M", "--image", str(samples / "photo.jpg"), "nowhere.png", "-i", "x"], models) == 4
    assert models.calls == []


@pytest.fixture
def server(samples: Path) -> Iterator[str]:
    """A web server with a picture, a page and nothing else."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/a.png": (samples / "shapes.png").read_bytes(), "/page": b"<!doctype html><p>no picture</p>"}
            body = found.get(self.path.partition("?")[0])
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("page", "code"), [("/a.png?size=big", 0), ("/gone.png", 4), ("/page", 4)])
def test_media_from_the_web(page: str, code: int, server: str, models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "--image", f"{server}{page}", "-i", "x"], models) == code
    assert len(capsys.readouterr().err.splitlines()) == (2 if code else 0)


def test_a_picture_through_a_process_substitution(samples: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m tests.cli.driver plain run -m M"
    done = subprocess.run(
        ["bash", "-c", f"{program} --image <(cat {shlex.quote(str(samples / 'photo.jpg'))}) -i x"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("It is red.\n", "")
