"""Which kind of medium the bytes are: their beginning says it of most, and what it leaves open the decoders say."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from ..errors import MediaDecodeError, MistralrsError
from ..messages import MediaFormat, Modality
from ..options import MediaPolicy
from . import ffmpeg, pillow
from .formats import HEAD, identify
from .labels import label
from .streams import Streams, read_streams

NOUNS: dict[Modality, str] = {"image": "an image", "audio": "audio", "video": "a video"}
_EXAMPLES: dict[Modality, str] = {
    "image": "Give an image: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.",
    "audio": "Give audio: WAV, MP3, FLAC, OGG, M4A or a video with audio.",
    "video": "Give a video: MP4, MOV, MKV, WebM, AVI or an animated GIF or WebP.",
}
# looking at the streams of a container is done in a moment
_SECONDS = 20.0


def kind_of(data: bytes) -> Modality | None:
    """The modality of a whole file, or ``None`` when it is no medium. A container with images and audio is a video.

    Where the first bytes leave it open, Pillow, libsndfile and ffmpeg are asked; nothing is decoded.
    """
    found = recognized(data)
    return found.kind if found else None


def kind_of_file(path: Path) -> Modality | None:
    """The modality of a file, of which no more is read than it takes. Raises ``OSError``."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        found = identify(head)
        if found is not None and found.kind != "video":
            return found.kind
        return kind_of(head + file.read())


def recognized(data: bytes) -> MediaFormat | None:
    """The format of a whole file, as the decoders see it; ``None`` where none of them knows it."""
    found = identify(data)
    if found is None:
        return pillow.recognized(data) or _container(data) or _libsndfile(data)
    if found.kind == "video" and (inside := _container(data)) is not None:
        return MediaFormat(found.name, inside.kind, found.animated)
    return found


def refuse_other(data: bytes, source: str, asked: Modality) -> None:
    """Raise when the bytes are clearly not what was asked for, saying what they are and which flag takes them.

    Audio may be asked of a video (its audio track), and a video of an animated image. The first bytes alone are
    looked at, unless they show another kind.

    Raises:
        MediaDecodeError: empty, not a medium, or another kind of medium.
    """
    if not data:
        raise MediaDecodeError(f"{label(source)} is empty (0 bytes)", f"Give the file of {NOUNS[asked]}.")
    found = identify(data)
    if found is None or found.kind == asked:
        return
    if (asked == "audio" and found.kind == "video") or (asked == "video" and found.animated):
        return
    raise _other(recognized(data) or found, source, asked)


def unreadable(data: bytes, source: str, asked: Modality, error: MediaDecodeError) -> MediaDecodeError:
    """The error for what a decoder did not take: the decoder's own, unless the bytes are another kind of medium."""
    if identify(data) is not None:
        return error
    found = recognized(data)
    return error if found is None or found.kind == asked else _other(found, source, asked)


def _other(found: MediaFormat, source: str, asked: Modality) -> MediaDecodeError:
    if found.kind is None:
        return MediaDecodeError(f"{label(source)} is {found.name}, not {NOUNS[asked]}", found.hint or _EXAMPLES[asked])
    return MediaDecodeError(
        f"{label(source)} is {NOUNS[found.kind]} ({found.name}), not {NOUNS[asked]}", f"Give it with --{found.kind}."
    )


def _libsndfile(data: bytes) -> MediaFormat | None:
    """Whether libsndfile opens it."""
    import soundfile

    if data.startswith((b"\xff", b"ID3")):  # its MP3 decoder would speak to the terminal; ffmpeg has been asked
        return None
    try:
        about = soundfile.info(BytesIO(data))
    except (soundfile.SoundFileError, ValueError, TypeError, RuntimeError, OSError):
        return None
    return MediaFormat(str(about.format), "audio")


def _container(data: bytes) -> MediaFormat | None:
    """What ffmpeg finds in it."""
    try:
        with ffmpeg.stored(data, "", MediaPolicy(decode_seconds=_SECONDS)) as file:
            streams = read_streams(file)
    except MistralrsError:
        return None
    kind = _kind(streams)
    return MediaFormat(streams.format.split(",")[0].upper(), kind) if kind and streams.sure else None


def _kind(streams: Streams) -> Modality | None:
    if streams.of("video"):
        return "video"
    return "audio" if streams.of("audio") else None
