"""Files in a message: OpenAI's ``file`` and ``input_file``, Anthropic's ``document``.

Their type or name says which kind of part they become, their bytes what they are.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from ..errors import MediaDecodeError
from ..messages import MediaOptions, MediaRef, Modality, Part, TextFile
from .base64 import from_base64
from .fields import instance, only, wrong

KNOWN = ("file_data", "file_url", "filename", "file_id", "detail")
READABLE = ("application/json", "application/xml", "application/yaml", "application/toml", "application/javascript")
"""Types of texts that do not begin with ``text/``."""
UNKNOWN = ("", "application/octet-stream")


def file_part(item: Mapping[str, Any], place: str, options: MediaOptions) -> Part:
    """A part of the type ``file`` (its fields in ``file``) or ``input_file`` (beside ``type``).

    Raises ``OptionError`` for an upload's id and for a file without content, ``MediaDecodeError`` for broken base64.
    """
    inner = f"{place}.file" if item["type"] == "file" else place
    fields = instance(item.get("file"), dict, inner) if item["type"] == "file" else item
    only(fields, ("type", *KNOWN, "cache_control"), inner)
    name = str(fields.get("filename") or "")
    if len(given := [field for field in ("file_data", "file_url", "file_id") if fields.get(field)]) > 1:
        raise wrong(inner, f"has {' and '.join(given)}; they exclude each other.", "Send one of them.")
    if data := fields.get("file_data"):
        return file_of(instance(data, str, f"{inner}.file_data"), name, inner, options)
    if url := fields.get("file_url"):
        address = instance(url, str, f"{inner}.file_url")
        return MediaRef(kind_of(type_of("", name or address)), address, options=options, place=place)
    if fields.get("file_id"):
        raise wrong(f"{inner}.file_id", "names an upload, and this server keeps none.", "Send the file as file_data.")
    raise wrong(inner, "has no content.", "Send file_data (base64 or a data: address) or file_url.")


def file_of(data: str, name: str, place: str, options: MediaOptions, mime: str = "") -> Part:
    """A file by its base64 or ``data:`` address: a text as such, anything else as a medium."""
    head, comma, body = data.partition(",")
    if head[:5].lower() == "data:" and comma:
        declared = head[5:].partition(";")[0]
    else:
        declared, body = mime, data
    found = type_of(declared, name)
    if found.startswith("text/") or found in READABLE:
        try:
            text = from_base64(body).decode("utf-8-sig")
        except ValueError as error:
            raise MediaDecodeError(f"{name or 'The file'} is not UTF-8 text in base64.", "Encode the whole file.").at(
                place
            ) from error
        return TextFile.fenced(name or "file", text)
    return MediaRef(kind_of(found), f"data:{found};base64,{body}", options=options, place=place)


def type_of(declared: str, name: str) -> str:
    """The type of a file, in lower case: as declared, else what its name suggests, else that of a PDF."""
    declared = declared.strip().lower()
    return (mimetypes.guess_type(name)[0] if declared in UNKNOWN else declared) or "application/pdf"


def kind_of(mime: str) -> Modality:
    """The modality of a file that is no text; pages of documents are images."""
    match mime.partition("/")[0]:
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "image"
