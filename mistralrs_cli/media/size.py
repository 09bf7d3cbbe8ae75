"""How much memory a medium will take once it is decoded, by its header."""

from __future__ import annotations

import contextlib

from ..errors import MistralrsError
from ..messages import DecodedMedia, MediaBytes
from ..options import MediaPolicy
from . import audio, ffmpeg, image_ffmpeg
from .formats import identify
from .image import LARGEST
from .packets import no_video, read_packets
from .pillow import open_image
from .streams import read_streams
from .timeline import VideoSampling, check, select_frames
from .video_ffmpeg import MEMORY

CHANNELS = 3  # bytes of a pixel
SAMPLE = 4  # bytes of a sample


def decoded_size(
    medium: MediaBytes | DecodedMedia, policy: MediaPolicy, *, rate: int, sampling: VideoSampling, enough: int = 0
) -> int:
    """Bytes that ``decode`` will make of fetched bytes, at most.

    Where the header does not tell, what the policy allows. Where ``enough`` bytes would do for any video, it is not
    looked at more closely. 0 for what is decoded already, and for what decoding will refuse.
    """
    if isinstance(medium, DecodedMedia):
        return 0
    data = medium.data
    try:
        match medium.kind:
            case "image":
                return image_size(data, medium.source, policy)
            case "audio":
                return audio_size(data, rate, policy)
            case "video":
                return MEMORY if enough >= MEMORY else video_size(medium, sampling, policy)
    except MistralrsError:
        return 0


def image_size(data: bytes, source: str, policy: MediaPolicy) -> int:
    """Of an image, before it is shrunk."""
    found = identify(data)
    if found is not None and found.name == "PDF":
        return LARGEST * CHANNELS
    if found is not None and found.name in image_ffmpeg.FORMATS:
        return policy.pixels * CHANNELS
    with open_image(data, source, policy) as image:
        return image.width * image.height * CHANNELS


def audio_size(data: bytes, rate: int, policy: MediaPolicy) -> int:
    """Of audio at ``rate`` Hz."""
    found = identify(data)
    seconds = policy.seconds
    if found is not None and found.name == "MP3" and ffmpeg.is_there():
        with ffmpeg.stored(data, "", policy) as stored:
            seconds = read_streams(stored).seconds or policy.seconds
    else:
        with contextlib.suppress(audio.Unreadable), audio.open_audio(data, "") as file:
            if file.frames and file.samplerate:
                seconds = file.frames / file.samplerate
    return int(min(seconds, policy.seconds) * rate + 1) * SAMPLE


def video_size(medium: MediaBytes, sampling: VideoSampling, policy: MediaPolicy) -> int:
    """Of the frames of a video that will be taken."""
    check(medium.options)
    data = medium.data
    found = identify(data)
    if found is not None and found.kind == "image" and found.name != "HEIC":
        with open_image(data, medium.source, policy) as image:
            rate = medium.options.fps or sampling.fps
            wanted = medium.options.frames or (sampling.maximum if rate else sampling.frames) or policy.frames
            # counting the frames of a GIF means to go through all of them
            count = wanted if image.format == "GIF" else min(wanted, getattr(image, "n_frames", 1))
            area = image.width * image.height
    else:
        with ffmpeg.stored(data, medium.source, policy) as file:
            streams = read_streams(file)
            stream = streams.pick("video")
            if stream is None:
                raise no_video(medium.source, streams)
            packets = read_packets(file, stream)
        count = len(select_frames(packets.timeline, medium.source, medium.options, sampling, policy))
        area = packets.width * packets.height
    return min(MEMORY, area * count * CHANNELS)
