"""The ffmpeg program: where it is, and how it is run on bytes nobody vouches for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..errors import MediaDecodeError, MediaError, MediaTooLarge
from .labels import label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# one medium may keep the machine busy for this long
LIMIT_SECONDS = 600.0

# No playlist, list, script or image pattern is among these: nothing that makes ffmpeg open another file.
_DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,av1,avi,caf,cavsvideo,dirac,dnxhd,dsf,dts,"
    "dtshd,dv,eac3,flac,flv,gif,gsm,gxf,h261,h263,h264,hevc,ircam,ivf,jpegxl_anim,jpegxl_pipe,loas,m4v,"
    "matroska,webm,mjpeg,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nsv,"
    "nut,obu,ogg,oma,qcp,rm,smjpeg,sox,swf,tak,truehd,tta,vc1,voc,vvc,w64,wav,webp_anim,wtv,wv,"
    "xwma,yuv4mpegpipe"
)
_TAGGED = re.compile(r"\[(?:error|fatal|panic)\] (.*)")
_TAIL = 40


@cache
def executable() -> str:
    """The path of ffmpeg: the one ``imageio-ffmpeg`` brings, else one on the PATH.

    Raises:
        MediaError: there is none.
    """
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        if found := shutil.which("ffmpeg"):
            return found
        raise MediaError("This medium needs ffmpeg, and there is none", "Run: pip install imageio-ffmpeg") from error


@contextmanager
def stored(data: bytes) -> Iterator[Path]:
    """The bytes as a file in a folder only this user can read: many containers must be read back and forth."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="mistralrs-")
    except OSError as error:
        raise _no_room(error) from error
    with folder:
        path = Path(folder.name) / "medium"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise _no_room(error) from error
        yield path


def _no_room(error: OSError) -> MediaError:
    return MediaError(
        f"The medium cannot be stored for decoding: {error.strerror or error}",
        "Make room in the temporary folder, or name another with TMPDIR.",
    )


@dataclass(slots=True)
class Run:
    """A running ffmpeg: its binary output, and after its end the last lines it said."""

    output: IO[bytes]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    expired: bool = False

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end."""
        return self.output.read(size)

    @property
    def reason(self) -> str:
        """Why it failed, in ffmpeg's words."""
        told = [match.group(1) for line in self.lines if (match := _TAGGED.search(line))]
        telling = [text for text in told if "Error opening" not in text and "Conversion failed" not in text]
        text = (telling or told or ["ffmpeg cannot read it"])[0]
        text = re.sub(r"(file:)?\S*mistralrs-\S*medium:? ?", "", text).strip().rstrip(".")
        return text[:200] or "ffmpeg cannot read it"


@contextmanager
def run(
    path: Path,
    source: str,
    arguments: Sequence[str],
    heard: Callable[[str], None] | None = None,
    before: Sequence[str] = (),
) -> Iterator[Run]:
    """Run ffmpeg on the file at ``path``; its standard output is read by the block.

    ``arguments`` say what becomes of it, ``before`` how it is read. ``heard`` gets every line of its log. However the
    block is left, the program has ended afterwards and its log is complete. ``source`` names the medium in errors.

    Raises:
        MediaTooLarge: it took longer than ``LIMIT_SECONDS``.
        MediaError: there is no ffmpeg, or it cannot be started.
    """
    command = [executable(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
    command += ["-protocol_whitelist", "file,pipe", "-format_whitelist", _DEMUXERS]
    command += [*before, "-i", f"file:{path}", *arguments]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20
        )
    except OSError as error:
        raise MediaError(
            f"ffmpeg cannot be started: {error.strerror}", "Run: pip install --force-reinstall imageio-ffmpeg"
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    result = Run(process.stdout)

    def expire() -> None:
        result.expired = True
        process.kill()

    timer = threading.Timer(LIMIT_SECONDS, expire)
    listener = threading.Thread(target=_listen, args=(process.stderr, result.lines, heard), daemon=True)
    timer.daemon = True
    timer.start()
    listener.start()
    try:
        yield result
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()
        process.stdout.close()  # a program that still writes gets a broken pipe and ends
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
        process.stderr.close()
    if result.expired:
        raise MediaTooLarge(
            f"{label(source)} takes longer than {LIMIT_SECONDS:.0f} s to decode", "Give a shorter or smaller one."
        )


def _listen(log: IO[bytes], lines: deque[str], heard: Callable[[str], None] | None) -> None:
    for raw in log:
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if heard is not None:
            heard(line)


def read_ppm(run: Run) -> NDArray[np.uint8] | None:
    """The next picture in the output of ``-f image2pipe -c:v ppm``: ``uint8 [height, width, 3]``."""
    import numpy as np

    magic, size, _ = run.output.readline(), run.output.readline(), run.output.readline()
    if magic != b"P6\n":
        return None
    width, height = (int(text) for text in size.split())
    pixels = run.read(width * height * 3)
    if len(pixels) < width * height * 3:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def failure(source: str, what: str, result: Run) -> MediaDecodeError:
    """The error for a medium that gave nothing: ``what`` is the noun, as in ``a video``."""
    return MediaDecodeError(
        f"{label(source)} cannot be read as {what}: {result.reason}", "Check that the file plays, or save it again."
    )
