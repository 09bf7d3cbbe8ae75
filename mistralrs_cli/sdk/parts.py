"""Parts of a message that only a program can hand in: pictures, samples, frames, bytes and paths as they are."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from ..media.given import given
from ..messages import MODALITIES, Media, Modality, Part, Text
from ..protocol.fields import only

KINDS: dict[str, Modality] = {name: kind for kind in MODALITIES for name in (kind, f"{kind}_url")}


def read_part(value: object, place: str) -> Part | None:
    """A part whose medium is a Python value, or ``None`` where the part is JSON.

    ``{"type": "image", "image": VALUE}``, the same with ``audio`` (and ``rate``) or ``video`` (and ``fps``), a value in
    place of an address, or the value alone. See ``media.given`` for the values.
    """
    if isinstance(value, (str, type(None))):
        return None
    if not isinstance(value, dict):
        return given(value, place=place)
    name = value.get("type")
    if not isinstance(name, str) or name not in KINDS:
        return None
    kind = KINDS[name]
    held = value.get(name)
    if isinstance(held, dict):
        held = held.get("url")
    if held is None or (isinstance(held, str) and name != kind):
        return None
    only(value, ("type", name, "rate", "sampling_rate", "fps"), place)
    if isinstance(held, str):
        return Media(kind, held, place=place)
    rate = next((value[key] for key in ("rate", "sampling_rate", "fps") if value.get(key) is not None), None)
    return given(held, kind, rate=rate, place=place)


def with_media(messages: Any, media: Sequence[tuple[Modality, object]]) -> Any:
    """Messages with media before the words of the last one by the user, in order."""
    if not media:
        return messages
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    last = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=None)
    if last is None:
        raise ValueError("There is no message by the user for the media.\nAdd one.")
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
    if part.data is None and not Path(part.source).is_file():
        return {"type": name, name: {"url": part.source}}
    data = Path(part.source).read_bytes() if part.data is None else encoded(part)
    mime = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}[part.kind]
    return {"type": name, name: {"url": f"data:{mime};base64,{base64.b64encode(data).decode()}"}}


def encoded(medium: Media) -> bytes:
    """The bytes of a medium that a program held: a picture as PNG, samples as WAV, frames as an animated PNG."""
    if isinstance(medium.data, bytes):
        return medium.data
    file = BytesIO()
    match medium.kind:
        case "image":
            medium.data.image.save(file, "PNG")
        case "audio":
            import soundfile

            soundfile.write(file, medium.data.samples, medium.data.rate, format="WAV", subtype="FLOAT")
        case "video":
            from PIL import Image

            frames = [Image.fromarray(frame) for frame in medium.data.frames]
            pause = round(1000 / medium.data.fps)
            frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=pause, lossless=True)
    return file.getvalue()
