"""Sounds: any format as mono samples at the model's rate."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import MediaDecodeError, MediaTooLarge
from ..options import MediaPolicy
from . import ffmpeg
from .formats import identify, refuse_other
from .labels import label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NATIVE = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")
_BLOCK = 1 << 18
# float files with peaks a little over 1 are loud; far over it they hold another scale, such as that of int16
_OTHER_SCALE = 4.0


@dataclass(frozen=True, slots=True)
class Sound:
    """``samples`` is ``float32 [samples]``, mono, within -1..1, ``rate`` of them a second."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def decode_audio(data: bytes, source: str, rate: int, policy: MediaPolicy) -> Sound:
    """Decode a sound, or the sound track of a video: the mean of its channels, resampled to ``rate`` Hz.

    WAV, FLAC, OGG, MP3 and AIFF are read by libsndfile; everything else, and what it cannot read, by ffmpeg.

    Raises:
        MediaDecodeError: not a sound, damaged, or without a single sample.
        MediaTooLarge: longer than ``policy.seconds``.
        MediaError: ffmpeg is needed and there is none.
    """
    refuse_other(data, source, "audio")
    found = identify(data)
    if found is None or found.name not in _NATIVE:
        return _with_ffmpeg(data, source, rate, policy)
    try:
        return _with_soundfile(data, source, rate, policy)
    except _Unreadable as unreadable:
        try:
            return _with_ffmpeg(data, source, rate, policy)
        except MediaDecodeError as error:
            if unreadable.empty:
                raise _silent(source) from error
            raise MediaDecodeError(
                f"{label(source)} begins like {found.name} but is damaged: {unreadable}",
                "Check that the file plays, or save it again.",
            ) from error


def resampled(samples: NDArray[np.float32], hertz: int, rate: int, source: str, policy: MediaPolicy) -> Sound:
    """A sound at another rate: ``samples`` is ``float32 [samples]`` or ``[samples, channels]`` at ``hertz``.

    Raises ``MediaDecodeError`` for samples that are none, and ``MediaTooLarge`` for more seconds than the policy's.
    """
    columns = samples[:, None] if samples.ndim == 1 else samples
    return _collect(iter([columns]), hertz, source, rate, policy)


class _Unreadable(Exception):
    """libsndfile does not take it, or finds no samples; ffmpeg may."""

    def __init__(self, reason: str = "", empty: bool = False) -> None:
        super().__init__(reason)
        self.empty = empty


class _Seekable(BytesIO):
    """Stays where it is when a damaged file sends the reader before its start; libsndfile is told by ``tell``.

    An exception in its callback would be printed instead of raised.
    """

    def seek(self, offset: int, whence: int = 0) -> int:
        with contextlib.suppress(ValueError, OverflowError):
            super().seek(offset, whence)
        return self.tell()


def _with_soundfile(data: bytes, source: str, rate: int, policy: MediaPolicy) -> Sound:
    import soundfile

    try:
        with soundfile.SoundFile(_Seekable(data)) as file:
            if file.frames > policy.seconds * file.samplerate:
                raise _too_long(source, policy)
            if not file.frames:  # a writer that could not go back leaves the length at 0
                raise _Unreadable(empty=True)
            blocks = file.blocks(_BLOCK, dtype="float32", always_2d=True)
            return _collect(blocks, file.samplerate, source, rate, policy)
    except soundfile.SoundFileError as error:
        raise _Unreadable(getattr(error, "error_string", str(error)).strip().rstrip(".")) from error


def _with_ffmpeg(data: bytes, source: str, rate: int, policy: MediaPolicy) -> Sound:
    with ffmpeg.stored(data) as path:
        # AU, because its header needs no going back: the rate and the channels are known, the length is not
        arguments = ["-map", "0:a:0", "-vn", "-c:a", "pcm_f32be", "-f", "au", "-"]
        with ffmpeg.run(path, source, arguments) as run:
            header = run.read(24)
            if len(header) == 24:
                _, offset, _, _, hertz, channels = struct.unpack(">6I", header)
                run.read(offset - 24)
                return _collect(_blocks(run, channels), hertz, source, rate, policy)
    if any("matches no streams" in line for line in run.lines):
        raise MediaDecodeError(f"{label(source)} has no sound in it", "Give a file with a sound track.")
    raise ffmpeg.failure(source, "a sound", run)


def _blocks(run: ffmpeg.Run, channels: int) -> Iterator[NDArray[np.float32]]:
    import numpy as np

    width = 4 * channels
    while data := run.read(_BLOCK // channels * width):
        whole = len(data) // width * width
        yield np.frombuffer(data[:whole], ">f4").reshape(-1, channels).astype(np.float32)


def _collect(blocks: Iterator[NDArray[np.float32]], hertz: int, source: str, rate: int, policy: MediaPolicy) -> Sound:
    """The mean of the channels of all blocks (``float32 [samples, channels]`` at ``hertz``), resampled."""
    import numpy as np
    import soxr

    try:
        resampler = soxr.ResampleStream(hertz, rate, 1, dtype="float32") if hertz != rate else None
    except (ValueError, RuntimeError) as error:
        raise MediaDecodeError(f"{label(source)} claims {hertz} samples a second", "Save the sound again.") from error
    pieces, count = [], 0
    for block in blocks:
        with np.errstate(invalid="ignore", over="ignore"):
            mono = block.mean(axis=1, dtype=np.float32)
        count += len(mono)
        if not np.isfinite(mono).all():
            raise MediaDecodeError(f"{label(source)} holds samples that are not numbers", "Save the sound again.")
        if count > policy.seconds * hertz:
            raise _too_long(source, policy)
        pieces.append(mono if resampler is None else resampler.resample_chunk(mono))
    if not count:
        raise _silent(source)
    if resampler is not None:
        pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    samples = np.concatenate(pieces)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > _OTHER_SCALE:
        samples /= peak
    return Sound(samples.clip(-1.0, 1.0), rate)


def _silent(source: str) -> MediaDecodeError:
    return MediaDecodeError(f"{label(source)} has no sound in it (0 samples)", "Record or save it again.")


def _too_long(source: str, policy: MediaPolicy) -> MediaTooLarge:
    return MediaTooLarge(
        f"{label(source)} lasts longer than the limit of {policy.seconds:g} s", "Give a shorter one, or a part of it."
    )
