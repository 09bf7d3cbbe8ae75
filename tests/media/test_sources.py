"""Where bytes come from on this machine, and what a policy keeps from being read."""

import base64
import io
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from mistralrs_cli.decoded import DecodedImage
from mistralrs_cli.errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound, MediaTooLarge
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.media.labels import label
from mistralrs_cli.messages import MediaBytes, MediaRef
from mistralrs_cli.options import MediaPolicy

from .conftest import POLICY


@pytest.fixture
def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures of awkward names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.png", "a b.png", "ü.png", "100%.png", "a#b?.png", "~x.png", "-"):
        (tmp_path / name).write_bytes(png)
    return tmp_path


def read(source: str, policy: MediaPolicy = POLICY, stdin: io.BytesIO | None = None) -> bytes:
    data = fetch(MediaRef("image", source), policy, stdin).data
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize(
    "source",
    [
        "a.png", "./a.png", "a b.png", "ü.png", "100%.png", "a#b?.png", "~/a.png", "~x.png", "./-", "{}/a.png",
        "file://{}/a.png",
        "file:{}/a.png", "FILE://{}/a.png", "file://localhost{}/a.png", "file://{}/a%20b.png", "file://{}/%C3%BC.png",
        "file://{}/a%23b%3F.png", "file://{}/100%25.png",
    ],
)  # fmt: skip
def test_files(folder: Path, png: bytes, source: str) -> None:
    assert read(source.format(folder)) == png


def test_data_url_and_base64(folder: Path, png: bytes) -> None:
    code = base64.b64encode(png).decode()
    lines = "\n".join(code[at : at + 76] for at in range(0, len(code), 76))
    for source in (
        f"data:image/png;base64,{code}",
        f"DATA:image/png;charset=utf-8;BASE64,{code}",
        f"data:;base64,{code}",
        f"data:text/plain;base64,{code}",  # the bytes decide
        f"data:image/png;base64,{code.replace('+', '%2B').replace('/', '%2F')}",
        f"data:image/png;base64,{code.rstrip('=')}",
        f"data:image/png;base64,{lines}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in png),
        code,
        code.rstrip("="),
        lines,
        base64.urlsafe_b64encode(png).decode(),
    ):
        assert read(source) == png


def test_base64_of_a_jpeg_is_not_taken_for_a_path() -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, "JPEG")
    code = base64.b64encode(file.getvalue()).decode()
    assert code.startswith("/9j/")
    assert read(code, MediaPolicy(local_roots=())) == file.getvalue()


def test_standard_input(png: bytes) -> None:
    assert read("-", stdin=io.BytesIO(png)) == png
    with pytest.raises(MediaDecodeError, match=r"standard input is empty \(0 bytes\)"):
        read("-", stdin=io.BytesIO())
    with pytest.raises(MediaTooLarge, match="standard input is larger than the limit of 10 bytes"):
        read("-", MediaPolicy(max_bytes=10), io.BytesIO(png))
    with pytest.raises(MediaForbidden, match="Standard input"):
        read("-")


@pytest.mark.parametrize("source", ["{}/pipe", "file://{}/pipe"])
def test_process_substitution(folder: Path, png: bytes, source: str) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=(png,))
    writer.start()
    assert read(source.format(folder)) == png
    writer.join()


def test_inherited_pipe(png: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, png)
    os.close(writing)
    assert read(f"/dev/fd/{reading}") == png
    os.close(reading)


@pytest.mark.parametrize(
    ("source", "kind", "says", "hint"),
    [
        ("missing.png", MediaNotFound, "No such file: missing.png", "Check the path"),
        ("a.pgn", MediaNotFound, "No such file: a.pgn", "Did you mean 'a.png'?"),
        ("nowhere/a.png", MediaNotFound, "No such file: nowhere/a.png", "Check the path"),
        ("a.png/x", MediaNotFound, "No such file: a.png/x", "is a file, not a folder"),
        ("folder", MediaNotFound, "folder is a folder, not a file", "folder/"),
        ("empty.png", MediaDecodeError, "empty.png is empty (0 bytes)", "image"),
        ("", MediaNotFound, "An empty path", "path"),
        ("a\0b.png", MediaNotFound, "Not a possible path: a\ufffdb.png", "path"),
        ("x" * 5000, MediaNotFound, "Cannot read xxx", "Check"),
        ("file://host/a.png", MediaForbidden, "names the host 'host'", "three slashes"),
        ("file://a.png", MediaForbidden, "names the host 'a.png'", "three slashes"),
        ("file:a.png", MediaNotFound, "not an absolute path", "absolute"),
        ("ftp://host/a.png", MediaForbidden, "cannot be read over ftp", "http"),
        ("s3://bucket/a.png", MediaForbidden, "cannot be read over s3", "http"),
        ("concat:a.png", MediaNotFound, "No such file: concat:a.png", "Check"),
        ("data:image/png;base64", MediaDecodeError, "has no comma", "data:"),
        ("data:image/png;base64,", MediaDecodeError, "is empty", "image"),
        ("data:image/png;base64,!!!!", MediaDecodeError, "data:image/png;base64,!!!! is not valid base64", "Encode"),
        ("data:image/png;base64,iVBORw0KGgo=AAAA", MediaDecodeError, "is not valid base64", "Encode"),
        ("data:image/png;base64,A", MediaDecodeError, "is not valid base64", "Encode"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, source: str, kind: type[MediaError], says: str, hint: str) -> None:
    (folder / "folder").mkdir()
    (folder / "empty.png").touch()
    with pytest.raises(kind) as caught:
        read(source)
    assert says in caught.value.message
    assert hint in str(caught.value.hint)
    assert len(caught.value.message) < 300
    assert "\n" not in caught.value.message


def test_unreadable_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.png").chmod(0)
    if os.geteuid() == 0:  # root may read everything

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("os.open", refuse)
    with pytest.raises(MediaForbidden, match=r"No permission to read a.png"):
        read("a.png")


@pytest.mark.parametrize("source", ["a.png", "{data}", "{base64}", "/dev/zero"])
def test_too_many_bytes(folder: Path, png: bytes, source: str) -> None:
    code = base64.b64encode(png).decode()
    policy = MediaPolicy(max_bytes=len(png) - 1)
    with pytest.raises(MediaTooLarge, match=f"larger than the limit of {len(png) - 1} bytes"):
        read(source.format(data=f"data:;base64,{code}", base64=code), policy)
    with pytest.raises(MediaTooLarge, match=r"limit of 1\.0 MiB"):
        read("/dev/zero", MediaPolicy(max_bytes=1 << 20))


@pytest.fixture
def jail(folder: Path, png: bytes) -> MediaPolicy:
    """A policy that allows one folder; a picture lies inside, a secret outside."""
    (folder / "allowed").mkdir()
    (folder / "allowed-not").mkdir()
    (folder / "allowed" / "in.png").write_bytes(png)
    (folder / "allowed" / "inner").symlink_to(folder / "allowed" / "in.png")
    (folder / "allowed" / "link.png").symlink_to(folder / "a.png")
    (folder / "allowed" / "up").symlink_to(folder)
    (folder / "allowed-not" / "b.png").write_bytes(png)
    os.mkfifo(folder / "allowed" / "pipe")
    return MediaPolicy(local_roots=(str(folder / "allowed"),))


@pytest.mark.parametrize(
    "source",
    ["{}/allowed/in.png", "allowed/in.png", "allowed/inner", "file://{}/allowed/in.png", "allowed/../allowed/in.png",
     "file://{}/allowed/%69n.png", "allowed/up/allowed/in.png"],
)  # fmt: skip
def test_allowed_below_the_root(folder: Path, png: bytes, jail: MediaPolicy, source: str) -> None:
    assert read(source.format(folder), jail) == png


@pytest.mark.parametrize(
    "source",
    ["a.png", "{}/a.png", "file://{}/a.png", "file://{}/allowed/../a.png", "file://{}/allowed/%2e%2e/a.png",
    "allowed/link.png",
     "allowed/up/a.png", "allowed-not/b.png", "file:///allowed/%2e%2e/etc/passwd", "/etc/passwd", "/dev/stdin",
     "/dev/fd/0",
     "/proc/self/environ", "~/a.png", "{}/no-such-file.png", "file://{}/allowed/..%2fa.png", "allowed/pipe"],
)  # fmt: skip
def test_refused_outside_the_root(folder: Path, jail: MediaPolicy, source: str) -> None:
    with pytest.raises(MediaForbidden):
        read(source.format(folder), jail)


def test_inside_the_root_a_missing_file_is_missing(folder: Path, jail: MediaPolicy) -> None:
    with pytest.raises(MediaNotFound) as caught:
        read("allowed/im.png", jail)
    assert "in.png" not in str(caught.value.hint)  # what else lies there is nobody's business


def test_link_swapped_after_the_check(folder: Path, jail: MediaPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def swapping(path: str, flags: int) -> int:
        Path(path).unlink()
        Path(path).symlink_to(folder / "a.png")
        return real(path, flags)

    monkeypatch.setattr("os.open", swapping)
    with pytest.raises(MediaForbidden, match="changed while it was opened"):
        read("allowed/in.png", jail)


def test_no_local_files_at_all(folder: Path, png: bytes) -> None:
    with pytest.raises(MediaForbidden, match="folder"):
        read("a.png", MediaPolicy(local_roots=()))


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/tty", "socket"])
@pytest.mark.parametrize("roots", [None, ("/",)])
def test_only_regular_files_and_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, roots: tuple[str, ...] | None
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        before = time.monotonic()
        with pytest.raises(
            (MediaForbidden, MediaNotFound), match=r"not a regular file|not let it be read|No permission"
        ):
            read(name, MediaPolicy(local_roots=roots, pipes=False))
    assert time.monotonic() - before < 1


def test_a_pipe_that_the_shell_made(tmp_path: Path, png: bytes) -> None:
    pipe = tmp_path / "63"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(png))
    writer.start()
    assert read(str(pipe)) == png
    writer.join()


def test_what_the_system_says_in_our_words(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(MediaNotFound, match="its links lead in a circle"):
        read(str(loop))
    with pytest.raises(MediaNotFound, match="the name is too long"):
        read("a.b" * 1000)


def test_data_in_hand_pass_through(png: bytes) -> None:
    medium = MediaBytes("image", "label", png)
    fetched = fetch(medium, MediaPolicy(local_roots=(), remote=False))
    assert fetched.data is png
    assert fetched.format is not None
    assert fetched.format.name == "PNG"
    with pytest.raises(MediaTooLarge):
        fetch(medium, MediaPolicy(max_bytes=5))


def test_decode(folder: Path, png: bytes) -> None:
    fetched = fetch(MediaRef("image", "a.png"), POLICY)
    assert (fetched.source, fetched.kind) == ("a.png", "image")
    decoded = decode(fetched, POLICY)
    assert isinstance(decoded.data, DecodedImage)
    assert decoded.data.width == 40
    assert decode(decoded, POLICY) is decoded


def test_labels_are_short_and_printable() -> None:
    assert label("dir/photo.jpg") == "dir/photo.jpg"
    assert label("data:image/png;base64," + "A" * 999) == "data:image/png;base64," + "A" * 18 + "…"
    assert len(label("/9j/" + "A/b+" * 9999)) == 41
    assert len(label("https://example.com/" + "a" * 999)) == 201
    assert label("a\n\x1b[31mb") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31mb"
