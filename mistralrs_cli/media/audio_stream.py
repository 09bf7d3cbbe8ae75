"""Audio of any length in blocks, of which no more is in memory than one: for speech, which is read window by window."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import MediaDecodeError
from ..messages import MediaBytes, MediaRef
from ..options import MediaPolicy
from . import audio, ffmpeg
from .formats import beginning, identify
from .kinds import refuse_other
from .labels import label
from .limits import check_rate, too_long
from .sources import fetch, local_file
from .streams import playable, read_streams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENDLESS = 10 * 365 * 86400.0
"""Seconds until ffmpeg is ended; a single read has the policy's time, since the reader may be slow."""
SCALES = (2.0**15, 2.0**23, 2.0**31)
"""What float files are divided by that hold the values of integers."""
HINT = "Give audio, or a video with an audio track."


@dataclass(slots=True)
class AudioStream:
    """Audio that is being read.

    ``blocks`` are float32 [samples], mono, within -1..1, at the rate that was asked for; there is at least one.
    ``seconds`` is how long the file says it lasts, 0 where it says nothing; ``note`` which of several audio tracks it
    is. ``stop``, from another thread, has a read that waits end.
    """

    blocks: Iterator[NDArray[np.float32]]
    seconds: float = 0.0
    note: str = ""
    stop: Callable[[], None] = field(default=lambda: None)


@contextmanager
def open_audio_stream(
    medium: MediaRef | MediaBytes, rate: int, policy: MediaPolicy, stdin: BinaryIO | None = None
) -> Iterator[AudioStream]:
    """Audio, or the audio track of a video, at ``rate`` Hz. A local file is read from its place, and not as a whole.

    Raises:
        MediaError: as ``fetch`` and ``decode_audio`` do; what is damaged further on is raised by ``blocks``.
    """
    path = local_file(medium.source, policy) if isinstance(medium, MediaRef) else None
    content = path if path is not None else fetch(medium, policy, stdin).data
    head = beginning(content)
    try:
        refuse_other(head, medium.source, "audio")
    except MediaDecodeError as error:
        raise MediaDecodeError(error.message, HINT) from error
    found = identify(head)
    with ExitStack() as stack:
        native = found is not None and found.name in audio.NATIVE
        if native and not (found is not None and found.name in audio.LOUD and ffmpeg.is_there()):
            try:
                stream = _with_soundfile(stack, content, medium.source, rate, policy)
            except audio.Unreadable:
                stream = _with_ffmpeg(stack, content, medium.source, rate, policy)
        else:
            stream = _with_ffmpeg(stack, content, medium.source, rate, policy)
        yield stream


def _with_soundfile(
    stack: ExitStack, content: bytes | Path, source: str, rate: int, policy: MediaPolicy
) -> AudioStream:
    opened = ExitStack()
    file = opened.enter_context(audio.open_audio(content, source))
    stack.callback(opened.close)  # without the errors of its reader, which are not libsndfile's
    if not file.frames:
        raise audio.Unreadable(empty=True)

    def read() -> Iterator[NDArray[np.float32]]:
        with audio.libsndfile_errors(source):
            yield from audio.native_blocks(file)

    raw = read()
    first = next(raw, None)
    if first is None:
        raise audio.Unreadable(empty=True)
    blocks = _mono(chain([first], raw), file.samplerate, source, rate, policy)
    return AudioStream(blocks, file.frames / file.samplerate)


def _with_ffmpeg(stack: ExitStack, content: bytes | Path, source: str, rate: int, policy: MediaPolicy) -> AudioStream:
    file = stack.enter_context(ffmpeg.stored(content, source, policy))
    streams = read_streams(file)
    picked = streams.pick("audio")
    if picked is None:
        error = audio.no_audio(source, streams)
        raise MediaDecodeError(error.message, HINT if streams.of("video") else error.hint)
    stream = playable(streams, picked, source)
    patient = ffmpeg.File(file.path, source, policy, time.monotonic() + ENDLESS)
    arguments = ["-map", f"0:{stream.index}", "-vn", "-c:a", "pcm_f32be", "-f", "au", "-"]
    run = stack.enter_context(ffmpeg.run(patient, arguments))
    reader = _Watched(run, policy.decode_seconds)
    header = reader.read(24)
    if len(header) < 24:
        stack.close()  # its log is complete then
        raise ffmpeg.failure(source, "audio", run)
    _, offset, _, _, hertz, channels = struct.unpack(">6I", header)
    reader.read(offset - 24)
    raw = audio.pcm_blocks(reader, channels)
    first = next(raw, None)
    if first is None:
        raise audio.no_samples(source)
    blocks = _mono(chain([first], raw), hertz, source, rate, policy)
    return AudioStream(blocks, streams.seconds, streams.note(stream), run.kill)


class _Watched:
    """Reads from ffmpeg; a read that takes longer than so many seconds ends it."""

    def __init__(self, run: ffmpeg.Run, seconds: float) -> None:
        self._run = run
        self._seconds = seconds

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or fewer at the end."""

        def expire() -> None:
            self._run.expired = True
            self._run.kill()

        timer = threading.Timer(self._seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            return self._run.read(size)
        finally:
            timer.cancel()


def _mono(
    blocks: Iterator[NDArray[np.float32]], hertz: int, source: str, rate: int, policy: MediaPolicy
) -> Iterator[NDArray[np.float32]]:
    """The mean of the channels of all blocks (``float32 [samples, channels]`` at ``hertz``), resampled."""
    import numpy as np

    check_rate(hertz, source)
    resampler = audio.Resampler(hertz, rate, source)

    def converted() -> Iterator[NDArray[np.float32]]:
        count, scale = 0, 1.0
        try:
            for block in blocks:
                with np.errstate(invalid="ignore", over="ignore"):
                    mono = block.mean(axis=1, dtype=np.float32)
                count += len(mono)
                if not np.isfinite(mono).all():
                    raise MediaDecodeError(
                        f"{label(source)} holds samples that are not numbers", "Save the audio again."
                    )
                if count > policy.seconds * hertz:
                    raise too_long(source, policy)
                peak = float(np.abs(mono).max(initial=0.0))
                if peak > audio.OTHER_SCALE * scale:
                    scale = next((each for each in SCALES if peak <= each), peak)
                yield resampler.taken(mono / np.float32(scale)).clip(-1.0, 1.0)
        except audio.Unreadable as error:
            raise MediaDecodeError(
                f"{label(source)} is damaged after {count / hertz:.1f} s",
                "Check that the file plays, or save it again.",
            ) from error
        yield resampler.taken(np.empty(0, np.float32), last=True).clip(-1.0, 1.0)

    return converted()
