"""The ffmpeg program: where it is, and how it is run on untrusted bytes."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..errors import MediaDecodeError, MediaError
from ..options import MediaPolicy
from .labels import label
from .limits import check_pixels, too_slow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
# what ffmpeg says of a medium that it cannot read, and what that means
_REASONS = {
    "moov atom not found": "its index (moov) is missing, as when a recording or a download broke off",
    "EBML header parsing failed": "its beginning is damaged",
    "Invalid data found": "the bytes are damaged, or in no format that is known",
    "could not find codec parameters": "its beginning is damaged or missing",
    "does not contain any stream": "there is nothing in it",
    "Decoder not found": "it is in a format that ffmpeg has no decoder for",
    "Decoding requested, but no decoder found": "it is in a format that ffmpeg has no decoder for",
    "Not yet implemented": "it is of a kind that ffmpeg does not read",
    "Picture size": "its images are larger than the limit",
    "Cannot allocate memory": "it does not fit in memory",
}


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


def is_there() -> bool:
    """Whether there is an ffmpeg."""
    try:
        return bool(shutil.which(executable()))
    except MediaError:
        return False


@dataclass(frozen=True, slots=True)
class File:
    """A medium as a file that ffmpeg reads: its ``source`` for messages, and the monotonic time it has until."""

    path: Path
    source: str
    policy: MediaPolicy
    deadline: float


@contextmanager
def stored(content: bytes | Path, source: str, policy: MediaPolicy) -> Iterator[File]:
    """A file where it is; bytes as one in a folder only this user can read: many containers are read back and forth.

    From here on all that ffmpeg does with it has ``policy.decode_seconds`` together.
    """
    if isinstance(content, Path):
        yield File(content.absolute(), source, policy, time.monotonic() + policy.decode_seconds)
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="mistralrs-")
    except OSError as error:
        raise _no_room(error) from error
    with folder:
        path = Path(folder.name) / "medium"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise _no_room(error) from error
        yield File(path, source, policy, time.monotonic() + policy.decode_seconds)


def _no_room(error: OSError) -> MediaError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return MediaError(
        "The medium cannot be stored for decoding" + (": the temporary folder is full" if full else ""),
        "Make room in the temporary folder, or name another with TMPDIR.",
    )


@dataclass(slots=True)
class Run:
    """A running ffmpeg: its binary output, and after its end the last lines it said. ``kill`` ends it."""

    output: IO[bytes]
    kill: Callable[[], None]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    expired: bool = False

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end."""
        return self.output.read(size)

    @property
    def reason(self) -> str:
        """Why it failed: one line, in our words where ffmpeg's are known."""
        said = [match.group(1) for line in self.lines if (match := _TAGGED.search(line))]
        for telling, meaning in _REASONS.items():
            if any(telling.lower() in line.lower() for line in said):
                return meaning
        return "its streams are damaged" if said else "there is nothing in it that can be decoded"


@contextmanager
def run(
    file: File,
    arguments: Sequence[str],
    heard: Callable[[str], None] | None = None,
    before: Sequence[str] = (),
) -> Iterator[Run]:
    """Run ffmpeg on a stored file; its standard output is read by the block.

    ``arguments`` say what becomes of it, ``before`` how it is read. ``heard`` gets every line of its log. However the
    block is left, the program has ended afterwards and its log is complete.

    Raises:
        MediaTooLarge: the file's time is over.
        MediaError: there is no ffmpeg, or it cannot be started.
    """
    command = [executable(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
    command += ["-protocol_whitelist", "file,pipe", "-format_whitelist", _DEMUXERS]
    command += ["-max_pixels", str(file.policy.pixels), *before, "-i", f"file:{file.path}", *arguments]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20
        )
    except OSError as error:
        raise MediaError(
            f"ffmpeg cannot be started: {executable()}", "Run: pip install --force-reinstall imageio-ffmpeg"
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    result = Run(process.stdout, process.kill)

    def expire() -> None:
        result.expired = True
        process.kill()

    timer = threading.Timer(max(0.0, file.deadline - time.monotonic()), expire)
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
        raise too_slow(file.source, file.policy)


def _listen(log: IO[bytes], lines: deque[str], heard: Callable[[str], None] | None) -> None:
    for raw in log:
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if heard is not None:
            heard(line)


def read_ppm(run: Run, file: File) -> NDArray[np.uint8] | None:
    """The next image in the output of ``-f image2pipe -c:v ppm``: ``uint8 [height, width, 3]``; ``None`` at the end.

    Raises ``MediaTooLarge`` before reading one of more pixels than the policy allows.
    """
    import numpy as np

    magic, size, _ = run.output.readline(), run.output.readline(), run.output.readline()
    if magic != b"P6\n":
        return None
    width, height = (int(text) for text in size.split())
    check_pixels(width, height, file.source, file.policy)
    content = run.read(width * height * 3)
    if len(content) < width * height * 3:
        return None
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)


def failure(source: str, what: str, result: Run) -> MediaDecodeError:
    """The error for a medium that gave nothing: ``what`` is the noun, as in ``a video``."""
    return MediaDecodeError(
        f"{label(source)} cannot be read as {what}: {result.reason}", "Check that the file plays, or save it again."
    )
