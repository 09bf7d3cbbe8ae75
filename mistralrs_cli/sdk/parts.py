"""Parts of a message that only a program can hand in: images, samples, frames, bytes and paths as they are."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from ..decoded import DecodedAudio, DecodedImage, DecodedVideo
from ..media.from_python import from_python, is_file
from ..media.spellings import split_pages
from ..messages import MODALITIES, DecodedMedia, MediaBytes, MediaOptions, MediaRef, Modality, Part, Text
from ..protocol.fields import only, wrong
from ..protocol.messages import HARMLESS, OPTIONS, media_options
from .problems import RequestError

KINDS: dict[str, Modality] = {name: kind for kind in MODALITIES for name in (kind, f"{kind}_url")}
RATES = ("rate", "sampling_rate")
WHOLE = MediaOptions()
FIELDS = {"frames": "num_frames"}  # a field of ``MediaOptions`` that a request calls otherwise


def read_part(value: object, place: str, defaults: MediaOptions = WHOLE) -> Part | None:
    """A part whose medium is a Python value, or ``None`` where the part is JSON.

    ``{"type": "image", "image": VALUE}``, the same with ``audio`` (and ``rate``) or ``video`` (and ``fps``), a value in
    place of an address, or the value alone. See ``media.from_python`` for the values; what a part does not say about
    how its medium is read, ``defaults`` do.
    """
    if isinstance(value, (str, type(None))):
        return None
    if not isinstance(value, dict):
        return from_python(value, options=defaults, place=place)
    name = value.get("type")
    if not isinstance(name, str) or name not in KINDS:
        return None
    kind = KINDS[name]
    held = value.get(name)
    inner = held if isinstance(held, dict) else {}
    if inner:
        held = inner.get("url")
        only(inner, ("url", *RATES, *OPTIONS[kind]), f"{place}.{name}")
    if held is None or (isinstance(held, str) and name != kind):
        return None
    only(value, ("type", name, *RATES, *OPTIONS[kind], *HARMLESS), place)
    present = {key: each for fields in (value, inner) for key, each in fields.items() if each is not None}
    settings = {key: present[key] for key in OPTIONS[kind] if key in present}
    rate = next((present[key] for key in RATES if key in present), None)
    if not isinstance(held, str):
        if rate is None and kind == "video" and not is_file(held):
            rate = settings.pop("fps", None)  # of frames in memory it is their own rate, of a file how many are taken
        found = from_python(held, kind, rate=rate, options=media_options(settings, place, defaults), place=place)
        if kind == "video" and isinstance(found, DecodedMedia) and settings:
            raise wrong(f"{place}.{next(iter(settings))}", "is for files.", "Of frames, give those that you want.")
        if rate is not None and not isinstance(found, DecodedMedia):
            raise wrong(f"{place}.rate", "is for arrays; a file says its own.", "Leave it out.")
        return found
    return MediaRef(kind, held, options=media_options(settings, place, defaults), place=place)


def with_media(messages: Any, media: Sequence[tuple[Modality, object]]) -> Any:
    """Messages with media before the words of the last one by the user, in order."""
    if not media:
        return messages
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    by_user = [i for i, turn in enumerate(turns) if isinstance(turn, dict) and turn.get("role") == "user"]
    last = by_user[-1] if by_user else None
    if last is None:
        raise RequestError("There is no message by the user for the media.\nAdd one.")
    content = turns[last].get("content") or []
    words = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    parts = [{"type": kind, kind: value} for kind, value in media]
    turns[last] = {**turns[last], "content": [*parts, *words]}
    return turns


def as_json(part: Part) -> dict[str, Any]:
    """A part as a server takes it: what is no address goes in whole, as base64."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    name = f"{part.kind}_url"
    source, pages = split_pages(part.source)
    path = Path(source if pages and not Path(part.source).exists() else part.source).expanduser()
    how = {FIELDS.get(option, option): value for option, value in asdict(part.options).items() if value is not None}
    if pages:
        how["pages"] = pages
    if isinstance(part, MediaRef) and not path.is_file():
        return {"type": name, name: {"url": part.source, **how}}
    data = path.read_bytes() if isinstance(part, MediaRef) else encoded(part)
    mime = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}[part.kind]
    return {"type": name, name: {"url": f"data:{mime};base64,{base64.b64encode(data).decode()}", **how}}


def encoded(medium: MediaBytes | DecodedMedia) -> bytes:
    """The bytes of a medium that a program held: an image as PNG, samples as WAV, frames as an animated WebP."""
    file = BytesIO()
    match medium.data:
        case bytes() as data:
            return data
        case DecodedImage(image):
            image.save(file, "PNG")
        case DecodedAudio(samples, rate):
            import soundfile

            soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
        case DecodedVideo(pixels, fps=fps):
            from PIL import Image

            frames = [Image.fromarray(frame) for frame in pixels]
            pause = round(1000 / fps)
            frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=pause, lossless=True)
    return file.getvalue()
