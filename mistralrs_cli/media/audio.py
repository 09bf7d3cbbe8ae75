"""Audio: any format as mono samples at the model's rate."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..decoded import DecodedAudio
from ..errors import MediaDecodeError, MistralrsError
from ..options import MediaPolicy
from . import ffmpeg
from .formats import beginning, identify
from .kinds import refuse_other
from .labels import label
from .limits import check_rate, out_of_memory, too_long
from .streams import playable, read_streams

if TYPE_CHECKING:
    import numpy as np
    import soundfile
    import soxr
    from numpy.typing import NDArray

    from .streams import Streams

NATIVE = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")
# libsndfile's decoder writes to the terminal where the slightest thing is wrong with one of these
LOUD = ("MP3",)
_BLOCK = 1 << 18
# float files with peaks a little over 1 are loud; far over it they hold another scale, such as that of int16
OTHER_SCALE = 4.0


def decode_audio(content: bytes | Path, source: str, rate: int, policy: MediaPolicy) -> DecodedAudio:
    """Decode audio, or the audio track of a video: the mean of its channels, resampled to ``rate`` Hz.

    ``content`` is its bytes, or the file that it is read from.

    WAV, FLAC, OGG and AIFF are read by libsndfile, and MP3 where there is no ffmpeg; everything else, and what it
    cannot read, by ffmpeg. Of several audio tracks, the one that the file marks as the default, else the first.

    Raises:
        MediaDecodeError: not audio, damaged, or without a single sample.
        MediaTooLarge: longer than ``policy.seconds``.
        MediaError: ffmpeg is needed and there is none.
    """
    head = beginning(content)
    refuse_other(head if isinstance(content, Path) else content, source, "audio")
    found = identify(head)
    if found is None or found.name not in NATIVE:
        return _with_ffmpeg(content, source, rate, policy)
    try:
        if found.name in LOUD and ffmpeg.is_there():
            raise Unreadable
        return _with_soundfile(content, source, rate, policy)
    except Unreadable as unreadable:
        try:
            return _with_ffmpeg(content, source, rate, policy)
        except MediaDecodeError as error:
            if unreadable.empty:
                raise no_samples(source) from error
            raise MediaDecodeError(
                f"{label(source)} begins like {found.name} but is damaged: nothing in it can be decoded",
                "Check that the file plays, or save it again.",
            ) from error


def resampled(samples: NDArray[np.float32], hertz: int, rate: int, source: str, policy: MediaPolicy) -> DecodedAudio:
    """Audio at another rate: ``samples`` is ``float32 [samples]`` or ``[samples, channels]`` at ``hertz``.

    Raises ``MediaDecodeError`` for samples that are none, and ``MediaTooLarge`` for more seconds than the policy's.
    """
    columns = samples[:, None] if samples.ndim == 1 else samples
    return _collect(iter([columns]), hertz, source, rate, policy)


class Unreadable(Exception):
    """libsndfile does not take it, or finds no samples; ffmpeg may."""

    def __init__(self, empty: bool = False) -> None:
        super().__init__()
        self.empty = empty


class _Seekable(BytesIO):
    """Stays where it is when a damaged file sends the reader before its start; libsndfile is told by ``tell``.

    An exception in its callback would be printed instead of raised.
    """

    def seek(self, offset: int, whence: int = 0) -> int:
        with contextlib.suppress(ValueError, OverflowError):
            super().seek(offset, whence)
        return self.tell()


@contextlib.contextmanager
def open_audio(content: bytes | Path, source: str) -> Iterator[soundfile.SoundFile]:
    """The audio as libsndfile opens it, from its bytes or its file. Errors are those of ``libsndfile_errors``."""
    import soundfile

    opened = str(content) if isinstance(content, Path) else _Seekable(content)
    with libsndfile_errors(source), soundfile.SoundFile(opened) as file:
        yield file


@contextlib.contextmanager
def libsndfile_errors(source: str) -> Iterator[None]:
    """All that libsndfile raises, as ``Unreadable``, for ffmpeg to try, or ``MediaTooLarge`` where memory is short."""
    import soundfile

    try:
        yield
    except (MistralrsError, Unreadable):
        raise
    except MemoryError as error:
        raise out_of_memory(source) from error
    # its own errors, and those of the checks before: no seeking in GSM (ValueError), unheard-of subtypes (TypeError)
    except (soundfile.SoundFileError, ValueError, TypeError, RuntimeError, OSError, ArithmeticError) as error:
        raise Unreadable from error


def _with_soundfile(content: bytes | Path, source: str, rate: int, policy: MediaPolicy) -> DecodedAudio:
    with open_audio(content, source) as file:
        if file.frames > policy.seconds * file.samplerate:
            check_rate(file.samplerate, source)
            raise too_long(source, policy)
        if not file.frames:  # a writer that could not go back leaves the length at 0
            raise Unreadable(empty=True)
        return _collect(native_blocks(file), file.samplerate, source, rate, policy)


def native_blocks(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Blocks of what libsndfile reads, without asking where it stands: GSM and its kin cannot seek."""
    size = max(1, _BLOCK // file.channels)
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


def _with_ffmpeg(content: bytes | Path, source: str, rate: int, policy: MediaPolicy) -> DecodedAudio:
    with ffmpeg.stored(content, source, policy) as file:
        streams = read_streams(file)
        picked = streams.pick("audio")
        if picked is None:
            raise no_audio(source, streams)
        stream = playable(streams, picked, source)
        # AU, because its header needs no going back: the rate and the channels are known, the length is not
        arguments = ["-map", f"0:{stream.index}", "-vn", "-c:a", "pcm_f32be", "-f", "au", "-"]
        with ffmpeg.run(file, arguments) as run:
            header = run.read(24)
            if len(header) == 24:
                _, offset, _, _, hertz, channels = struct.unpack(">6I", header)
                run.read(offset - 24)
                audio = _collect(pcm_blocks(run, channels), hertz, source, rate, policy)
                return replace(audio, note=streams.note(stream))
    raise ffmpeg.failure(source, "audio", run)


def no_audio(source: str, streams: Streams) -> MediaDecodeError:
    """The error for a file in which ffmpeg finds no audio."""
    if not streams.format or not streams.streams:
        return ffmpeg.failure(source, "audio", streams.run)
    if streams.of("video"):
        return MediaDecodeError(
            f"{label(source)} has no audio in it, only video",
            "Give it with --video, or give a file with an audio track.",
        )
    return MediaDecodeError(f"{label(source)} has no audio in it", "Give a file with an audio track.")


class Readable(Protocol):
    """What ffmpeg's output is read from."""

    def read(self, size: int) -> bytes: ...


def pcm_blocks(run: Readable, channels: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of the big-endian floats that ffmpeg writes."""
    import numpy as np

    width = 4 * channels
    while data := run.read(_BLOCK // channels * width):
        whole = len(data) // width * width
        yield np.frombuffer(data[:whole], ">f4").reshape(-1, channels).astype(np.float32)


def _collect(
    blocks: Iterator[NDArray[np.float32]], hertz: int, source: str, rate: int, policy: MediaPolicy
) -> DecodedAudio:
    """The mean of the channels of all blocks (``float32 [samples, channels]`` at ``hertz``), resampled."""
    import numpy as np

    check_rate(hertz, source)
    resampler = Resampler(hertz, rate, source)
    pieces, count = [], 0
    for block in blocks:
        with np.errstate(invalid="ignore", over="ignore"):
            mono = block.mean(axis=1, dtype=np.float32)
        count += len(mono)
        if not np.isfinite(mono).all():
            raise MediaDecodeError(f"{label(source)} holds samples that are not numbers", "Save the audio again.")
        if count > policy.seconds * hertz:
            raise too_long(source, policy)
        pieces.append(resampler.taken(mono))
    if not count:
        raise no_samples(source)
    pieces.append(resampler.taken(np.empty(0, np.float32), last=True))
    samples = np.concatenate(pieces)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > OTHER_SCALE:
        samples /= peak
    return DecodedAudio(samples.clip(-1.0, 1.0), rate)


def no_samples(source: str) -> MediaDecodeError:
    """The error for audio without a single sample."""
    return MediaDecodeError(f"{label(source)} has no audio in it (0 samples)", "Record or save it again.")


class Resampler:
    """soxr for a stream of blocks; where the rate is right already, they pass as they are."""

    def __init__(self, hertz: int, rate: int, source: str) -> None:
        self._source = source
        self._stream: soxr.ResampleStream | None = None
        if hertz != rate:
            import soxr

            with self._map_errors():
                self._stream = soxr.ResampleStream(hertz, rate, 1, dtype="float32")

    def taken(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """What a block of ``float32 [samples]`` becomes; the rest comes with the ``last`` one."""
        if self._stream is None:
            return block
        with self._map_errors():
            resampled: NDArray[np.float32] = self._stream.resample_chunk(block, last=last)
        return resampled

    @contextlib.contextmanager
    def _map_errors(self) -> Iterator[None]:
        """All that soxr raises, as our errors."""
        try:
            yield
        except MemoryError as error:
            raise out_of_memory(self._source) from error
        except (ValueError, TypeError, RuntimeError) as error:
            raise MediaDecodeError(f"{label(self._source)} cannot be resampled", "Save the audio again.") from error
