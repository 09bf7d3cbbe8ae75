"""PDF documents: how many pages, a page as an image, a page's text. PDFium reads them in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..decoded import DecodedImage
from ..errors import MediaDecodeError, MediaForbidden, MediaTooLarge
from ..options import MediaPolicy
from .labels import label
from .limits import out_of_memory, too_slow

DPI = 150
"""Pixels an inch: an A4 page becomes 1240 × 1754, on which small print can be read."""

WORKER = Path(__file__).with_name("pdf_worker.py")
_NO_MEMORY = "MemoryError"


def page_count(data: bytes, source: str, policy: MediaPolicy) -> int:
    """How many pages a document has.

    Raises:
        MediaForbidden: it is encrypted.
        MediaDecodeError: it is damaged.
        MediaTooLarge: it takes longer than ``policy.decode_seconds``.
    """
    return int(_ask(data, source, policy, "pages")[0]["pages"])


def page_texts(data: bytes, source: str, pages: Sequence[int], policy: MediaPolicy) -> list[str]:
    """The text of pages, counted from 1; empty for a page that was scanned.

    Raises what ``page_count`` does, and ``MediaTooLarge`` for more text than any model reads.
    """
    facts, _ = _ask(data, source, policy, "text", json.dumps(list(pages)))
    return [str(text).replace("\r\n", "\n").strip() for text in facts["texts"]]


def render_page(
    data: bytes, source: str, page: int, dpi: int | None, max_edge: int | None, largest: int, policy: MediaPolicy
) -> DecodedImage:
    """A page, counted from 1, as an image of at most ``largest`` pixels. Raises what ``page_count`` does."""
    from PIL import Image

    arguments = (str(page), str(dpi or DPI), str(max_edge or 0), str(min(largest, policy.pixels)))
    facts, pixels = _ask(data, source, policy, "render", *arguments)
    width, height = facts["size"]
    if len(pixels) < facts["stride"] * height:
        raise _damaged(source)
    image = Image.frombytes("RGB", (width, height), pixels, "raw", "RGB", facts["stride"])
    return DecodedImage(image, facts["width"], facts["height"], "PDF")


def _ask(data: bytes, source: str, policy: MediaPolicy, *command: str) -> tuple[dict[str, Any], bytes]:
    """The facts that the worker answers, and the pixels after them."""
    arguments = [sys.executable, "-P", str(WORKER), *command]
    try:
        done = subprocess.run(arguments, input=data, capture_output=True, timeout=policy.decode_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise too_slow(source, policy) from error
    if _NO_MEMORY in done.stderr.decode(errors="replace"):
        raise out_of_memory(source)
    head, _, pixels = done.stdout.partition(b"\n")
    facts = json.loads(head) if done.returncode == 0 and head else {"error": "damaged"}
    match facts.get("error"):
        case None:
            return facts, pixels
        case "text":
            raise MediaTooLarge(
                f"The pages of {label(source)} hold too much text.", "Name fewer of them, as in #page=1-20."
            )
        case "password":
            raise MediaForbidden(
                f"{label(source)} is encrypted, and opens with a password only.",
                "Open it and print it into a new PDF, which has no password.",
            )
        case _:
            raise _damaged(source)


def _damaged(source: str) -> MediaDecodeError:
    return MediaDecodeError(f"{label(source)} is a damaged PDF document.", "Save or download it again.")
