"""Media: where the bytes come from (``sources``), what they are (``formats``), and what a model is given of them."""

from dataclasses import replace

from ..errors import MediaDecodeError
from ..messages import Media
from ..options import MediaPolicy
from .audio import DecodedAudio, decode_audio, resampled
from .image import DecodedImage, decode_image
from .kinds import unreadable
from .limits import out_of_memory
from .size import decoded_size
from .sources import fetch
from .video import DecodedVideo, VideoSampling, decode_video

__all__ = [
    "DecodedAudio",
    "DecodedImage",
    "DecodedVideo",
    "VideoSampling",
    "decode",
    "decode_audio",
    "decode_image",
    "decode_video",
    "decoded_size",
    "fetch",
]


EVENLY = VideoSampling()


def decode(medium: Media, policy: MediaPolicy, *, rate: int = 16_000, sampling: VideoSampling = EVENLY) -> Media:
    """The same medium decoded: its ``data`` becomes a ``DecodedImage``, ``DecodedAudio`` or ``DecodedVideo``.

    ``rate`` is the sound's in Hz; ``sampling`` says which frames of a video are wanted unless the medium's own
    options do. Decoded data pass through; a decoded sound of another rate is resampled.

    Raises:
        MediaError: the bytes are not that kind of medium, are damaged, or exceed the policy.
        ValueError: the medium was never fetched.
    """
    data = medium.data
    if data is None:
        raise ValueError(f"the medium {medium.source!r} has no data: fetch it first")
    if isinstance(data, (bytearray, memoryview)):
        data = bytes(data)
    if isinstance(data, DecodedAudio) and data.rate != rate:
        sound = resampled(data.samples, data.rate, rate, medium.source, policy)
        return replace(medium, data=replace(sound, note=data.note))
    if not isinstance(data, bytes):
        return medium
    try:
        match medium.kind:
            case "image":
                return replace(medium, data=decode_image(data, medium.source, medium.options, policy))
            case "audio":
                return replace(medium, data=decode_audio(data, medium.source, rate, policy))
            case "video":
                return replace(medium, data=decode_video(data, medium.source, medium.options, sampling, policy))
    except MediaDecodeError as error:
        better = unreadable(data, medium.source, medium.kind, error)
        if better is error:
            raise
        raise better from error
    except MemoryError as error:
        raise out_of_memory(medium.source) from error
