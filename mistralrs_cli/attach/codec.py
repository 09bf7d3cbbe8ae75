"""The values that cross the border to another process, exactly: as JSON, with bytes beside it.

``$`` names what JSON has no form for: tuples, mappings, bytes, arrays, images, and the dataclasses in ``VALUES``.
A dataclass that is not among them arrives as a namespace with the same fields.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

from .. import decoded, errors, events, grounding, messages, options
from ..errors import MistralrsError

VALUES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(messages.Message, messages.Text, messages.TextFile, messages.MediaOptions, messages.MediaFormat),
        *(messages.MediaRef, messages.MediaBytes, messages.DecodedMedia, messages.ToolCall),
        *(decoded.DecodedImage, decoded.DecodedAudio, decoded.DecodedVideo),
        *(options.ModelOptions, options.Sampling, options.Grammar, options.Dry, options.Tools, options.MediaPolicy),
        *(options.SpeechTask, grounding.ImageCoordinates),
        *(events.MediaReport, events.Started, events.TextDelta, events.ReasoningDelta, events.ScoredToken),
        *(events.TimedText, events.TokenLogprobs, events.PromptLogprobs, events.Usage, events.Timing, events.Done),
    )
}
LENGTH = struct.Struct(">Q")


def packed(value: Any) -> list[bytes]:
    """A value as the pieces of a body: the length of the JSON, the JSON, then the bytes it refers to."""
    blobs: list[bytes] = []
    plain = to_plain(value, blobs)
    text = json.dumps({"value": plain, "sizes": [len(blob) for blob in blobs]}).encode()
    return [LENGTH.pack(len(text)), text, *blobs]


def unpacked(body: bytes | bytearray) -> Any:
    """The value of a body. Raises ``ValueError`` for one that ``packed`` has not made."""
    view = memoryview(body)
    if len(view) < LENGTH.size:
        raise ValueError("the body is cut")
    (length,) = LENGTH.unpack(view[: LENGTH.size])
    at = LENGTH.size + length
    head = json.loads(bytes(view[LENGTH.size : at]))
    blobs: list[bytes] = []
    for size in head["sizes"]:
        blobs.append(bytes(view[at : at + size]))
        at += size
    if at != len(view):
        raise ValueError("the body is cut, or goes on")
    return from_plain(head["value"], blobs)


def to_plain(value: Any, blobs: list[bytes] | None = None) -> Any:
    """A value as JSON holds it; bytes go to ``blobs``, or are written in it as base64."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"$": "bytes", "v": held(value, blobs)}
        case tuple():
            return {"$": "tuple", "v": [to_plain(item, blobs) for item in value]}
        case frozenset():
            return {"$": "set", "v": sorted(value)}
        case list():
            return [to_plain(item, blobs) for item in value]
        case Mapping():
            return {"$": "dict", "v": {key: to_plain(item, blobs) for key, item in value.items()}}
    if is_dataclass(value) and not isinstance(value, type):
        given = {field.name: to_plain(getattr(value, field.name), blobs) for field in fields(value)}
        return {"$": type(value).__name__, "v": given}
    if isinstance(value, SimpleNamespace):
        return {"$": "namespace", "v": {key: to_plain(item, blobs) for key, item in vars(value).items()}}
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        return {"$": "array", "type": str(value.dtype), "shape": value.shape, "v": held(value.tobytes(), blobs)}
    if package == "PIL":
        return {"$": "image", "mode": value.mode, "size": value.size, "v": held(value.tobytes(), blobs)}
    raise TypeError(f"a {type(value).__name__} does not cross to another process")


def held(data: bytes, blobs: list[bytes] | None) -> Any:
    """Bytes as JSON refers to them."""
    if blobs is None:
        return b64encode(data).decode()
    for index, blob in enumerate(blobs):
        if blob is data:  # every page of a document holds the whole document
            return index
    blobs.append(data)
    return len(blobs) - 1


def from_plain(plain: Any, blobs: Sequence[bytes] | None = None) -> Any:
    """The value that ``to_plain`` made this of."""
    if isinstance(plain, list):
        return [from_plain(item, blobs) for item in plain]
    if not isinstance(plain, dict):
        return plain
    found = plain["v"]
    match plain["$"]:
        case "tuple":
            return tuple(from_plain(item, blobs) for item in found)
        case "set":
            return frozenset(found)
        case "dict":
            return {key: from_plain(item, blobs) for key, item in found.items()}
        case "bytes":
            return taken(found, blobs)
        case "array":
            import numpy as np

            return np.frombuffer(taken(found, blobs), dtype=plain["type"]).reshape(plain["shape"])
        case "image":
            from PIL import Image

            return Image.frombytes(plain["mode"], tuple(plain["size"]), taken(found, blobs))
        case name:
            given = {key: from_plain(item, blobs) for key, item in found.items()}
            return VALUES.get(name, SimpleNamespace)(**given)


def taken(place: Any, blobs: Sequence[bytes] | None) -> bytes:
    """Bytes that JSON refers to."""
    return b64decode(place) if blobs is None else blobs[place]


def plain_error(error: BaseException) -> dict[str, Any]:
    """An error as JSON holds it; one of another library counts as unexpected."""
    if not isinstance(error, MistralrsError):
        return {
            "class": "MistralrsError",
            "message": f"unexpected error: {type(error).__name__}: {error}",
            "hint": "mistralrs ps shows the engine's log, which says more.",
        }
    return {"class": type(error).__name__, "message": error.message, "hint": error.hint, "param": error.param}


def error_of(plain: Mapping[str, Any], names: tuple[str, str] = ("", "")) -> MistralrsError:
    """The error that ``plain_error`` made this of; the first of ``names``, the engine's, is said as the second."""
    kind = getattr(errors, str(plain.get("class")), MistralrsError)
    if not (isinstance(kind, type) and issubclass(kind, MistralrsError)):
        kind = MistralrsError
    message, hint = str(plain["message"]), plain.get("hint")
    theirs, ours = names
    if theirs != ours:
        message = message.replace(theirs, ours)
        hint = hint and hint.replace(theirs, ours)
    error: MistralrsError = kind(message, hint)
    error.param = plain.get("param")
    return error
