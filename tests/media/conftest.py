"""Media made on the spot: flat frames whose colour tells their number, tones, and a hostile web server."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mistralrs_cli.media import ffmpeg
from mistralrs_cli.options import MediaPolicy

POLICY = MediaPolicy()


def colour(index: int) -> tuple[int, int, int]:
    """The colour of frame ``index``: octal digits spread over the range, far enough apart for any codec."""
    return index % 8 * 32 + 16, index // 8 % 8 * 32 + 16, index // 64 % 8 * 32 + 16


def number(frame: NDArray[np.uint8]) -> int:
    """The index that was painted into a frame."""
    red, green, blue = (int(level) for level in frame.reshape(-1, 3).mean(axis=0))
    return red // 32 + green // 32 * 8 + blue // 32 * 64


def numbers(frames: NDArray[np.uint8]) -> list[int]:
    """The indices painted into the frames of a clip."""
    return [number(frame) for frame in frames]


def convert(*arguments: str, data: bytes = b"") -> None:
    """Run ffmpeg; the test fails if it does."""
    command = [ffmpeg.executable(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    subprocess.run(command, input=data, check=True)


def film(path: Path, count: int, *arguments: str, size: tuple[int, int] = (64, 48), fps: str = "10") -> Path:
    """A film of ``count`` painted frames, encoded as the name's ending says."""
    width, height = size
    frames = b"".join(bytes(colour(index)) * (width * height) for index in range(count))
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-"]
    convert(*raw, *arguments, str(path), data=frames)
    return path


def tone(seconds: float = 1.0, rate: int = 44_100, hertz: float = 440.0) -> NDArray[np.float64]:
    """A sine of amplitude one half."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def pitch(samples: NDArray[np.float32], rate: int) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP4 of 100 painted frames at 10 per second, with B frames and a key frame every 12."""
    return film(
        tmp_path_factory.mktemp("painted") / "clip.mp4", 100, "-c:v", "libx264", "-g", "12", "-pix_fmt", "yuv420p"
    )


Answer = Callable[[socket.socket], None]


class Hostile:
    """A web server whose every path answers with exactly the bytes, or the misbehaviour, the test gave it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.wrap: Callable[[socket.socket], socket.socket] = lambda client: client
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"

    def reply(self, path: str, body: bytes = b"", status: str = "200 OK", **headers: str) -> str:
        """Let ``path`` answer with this body; its address."""
        lines = [f"HTTP/1.1 {status}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if "Content_Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        whole = "\r\n".join([*lines, "", ""]).encode() + body
        return self.act(path, lambda client: client.sendall(whole))

    def act(self, path: str, answer: Answer) -> str:
        """Let ``answer`` do what it wants to the connection; the address."""
        self.answers[path] = answer
        return self.url(path)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, plain: socket.socket) -> None:
        try:
            client = self.wrap(plain)
        except OSError:  # the other side did not like the certificate
            plain.close()
            return
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (chunk := client.recv(65536)):
                    return
                request += chunk
            self.requests.append(request.decode())
            path = request.split()[1].decode()
            try:
                self.answers[path](client)
            except OSError:  # the other side has had enough, as it should
                return

    def close(self) -> None:
        """Stop listening."""
        if self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """The server, with no proxy in between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Hostile()
    yield server
    server.close()
