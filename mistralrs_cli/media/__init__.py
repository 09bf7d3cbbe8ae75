"""Media: where the bytes come from (``sources``), what they are (``formats``), and what a model is given of them."""

from dataclasses import replace

from ..decoded import DecodedAudio, DecodedImage, DecodedVideo
from ..errors import MediaDecodeError, MediaNotFound, reason
from ..messages import DecodedMedia, MediaBytes, MediaFile, MediaOptions
from ..options import MediaPolicy
from .audio import decode_audio, resampled
from .formats import beginning
from .image import decode_image
from .kinds import unreadable
from .labels import label
from .limits import out_of_memory
from .pages import in_pages
from .size import decoded_size
from .soundtrack import in_parts
from .sources import fetch
from .video import VideoSampling, decode_video

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
    "in_pages",
    "in_parts",
]


EVENLY = VideoSampling()


def cut(audio: DecodedAudio, options: MediaOptions) -> DecodedAudio:
    """The audio track of a video from where to where the video is taken; any other audio as it is."""
    if not options.soundtrack or (options.start is None and options.end is None):
        return audio
    first = int((options.start or 0.0) * audio.rate)
    last = None if options.end is None else int(options.end * audio.rate)
    return replace(audio, samples=audio.samples[first:last])


def decode(
    medium: MediaBytes | MediaFile | DecodedMedia,
    policy: MediaPolicy,
    *,
    rate: int = 16_000,
    sampling: VideoSampling = EVENLY,
) -> DecodedMedia:
    """The same medium decoded.

    ``rate`` is the audio's in Hz; ``sampling`` says which frames of a video are wanted unless the medium's own
    options do. Decoded data pass through; decoded audio of another rate is resampled.

    Raises:
        MediaError: the bytes are not that kind of medium, are damaged, or exceed the policy.
    """
    if isinstance(medium, DecodedMedia):
        audio = medium.data
        if not isinstance(audio, DecodedAudio) or audio.rate == rate:
            return medium
        new = resampled(audio.samples, audio.rate, rate, medium.source, policy)
        return medium.as_decoded(replace(new, note=audio.note))
    content = medium.path if isinstance(medium, MediaFile) else medium.data
    try:
        match medium.kind:
            case "image":
                whole = content if isinstance(content, bytes) else content.read_bytes()
                return medium.as_decoded(decode_image(whole, medium.source, medium.options, policy))
            case "audio":
                return medium.as_decoded(cut(decode_audio(content, medium.source, rate, policy), medium.options))
            case "video":
                return medium.as_decoded(decode_video(content, medium.source, medium.options, sampling, policy))
    except MediaDecodeError as error:
        head = content if isinstance(content, bytes) else beginning(content)
        better = unreadable(head, medium.source, medium.kind, error)
        if better is error:
            raise
        raise better from error
    except OSError as error:  # a file that is gone or cannot be read any more
        raise MediaNotFound(f"Cannot read {label(medium.source)}: {reason(error)}", "Check the path.") from error
    except MemoryError as error:
        raise out_of_memory(medium.source) from error
