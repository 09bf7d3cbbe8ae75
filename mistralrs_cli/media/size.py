"""How much memory a medium will take once it is decoded, by its header."""

from __future__ import annotations

from io import BytesIO

from ..errors import MistralrsError
from ..messages import Media
from ..options import MediaPolicy
from . import ffmpeg, film, still
from .formats import identify
from .image import opened
from .packets import read_packets
from .timeline import VideoSampling, check, chosen

CHANNELS = 3  # bytes of a pixel
SAMPLE = 4  # bytes of a sample


def decoded_size(medium: Media, policy: MediaPolicy, *, rate: int, sampling: VideoSampling, enough: int = 0) -> int:
    """Bytes that ``decode`` will make of fetched bytes, at most.

    Where the header does not tell, what the policy allows. Where ``enough`` bytes would do for any clip, it is not
    looked at more closely. 0 for what is decoded already, and for what decoding will refuse.
    """
    data = medium.data
    if isinstance(data, (bytearray, memoryview)):
        data = bytes(data)
    if not isinstance(data, bytes):
        return 0
    try:
        match medium.kind:
            case "image":
                return picture_size(data, medium.source, policy)
            case "audio":
                return sound_size(data, rate, policy)
            case "video":
                return film.MEMORY if enough >= film.MEMORY else clip_size(medium, data, sampling, policy)
    except MistralrsError:
        return 0


def picture_size(data: bytes, source: str, policy: MediaPolicy) -> int:
    """Of a picture, before it is shrunk."""
    found = identify(data)
    if found is not None and found.name in still.FORMATS:
        return policy.pixels * CHANNELS
    with opened(data, source, policy) as image:
        return image.width * image.height * CHANNELS


def sound_size(data: bytes, rate: int, policy: MediaPolicy) -> int:
    """Of a sound at ``rate`` Hz."""
    import soundfile

    try:
        about = soundfile.info(BytesIO(data))
        seconds = about.frames / about.samplerate if about.frames else policy.seconds
    except (soundfile.SoundFileError, ZeroDivisionError):
        seconds = policy.seconds
    return int(min(seconds, policy.seconds) * rate + 1) * SAMPLE


def clip_size(medium: Media, data: bytes, sampling: VideoSampling, policy: MediaPolicy) -> int:
    """Of the frames of a clip that will be taken."""
    check(medium.options)
    found = identify(data)
    if found is not None and found.kind == "image":
        with opened(data, medium.source, policy) as image:
            rate = medium.options.fps or sampling.fps
            wanted = medium.options.frames or (sampling.maximum if rate else sampling.frames) or policy.frames
            area, count = image.width * image.height, min(wanted, getattr(image, "n_frames", 1))
    else:
        with ffmpeg.stored(data) as path:
            packets = read_packets(path, medium.source)
        count = len(chosen(packets.timeline, medium.source, medium.options, sampling, policy))
        area = packets.width * packets.height
    return min(film.MEMORY, area * count * CHANNELS)
