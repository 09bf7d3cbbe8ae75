"""PDFium in a process of its own: a document that harms it harms nothing else. Run by ``pdf.py``, never imported.

``pdf_worker.py pages|text|render [ARGUMENT…]`` reads a document on stdin and answers with a line of JSON; ``render``
with a page's pixels after it, RGB rows of ``stride`` bytes.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from typing import Any

MEMORY = 4 * 2**30
LONGEST_TEXT = 8 * 2**20
"""Characters of all pages together: more than any model reads, and little to hold for who asked."""


def bounded() -> None:
    """Limit this process's memory, and let it leave no dump of it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, wanted in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, MEMORY)):
        _, allowed = resource.getrlimit(limit)
        most = wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)
        with suppress(ValueError, OSError):  # macOS knows no limit of memory
            resource.setrlimit(limit, (most, most))


def answer(facts: dict[str, Any], pixels: bytes = b"") -> None:
    """Write an answer to stdout."""
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n")
    sys.stdout.buffer.write(pixels)
    sys.stdout.buffer.flush()


def size(page: Any, dpi: int, max_edge: int, max_pixels: int) -> tuple[tuple[int, int], float]:
    """Width and height in pixels at ``dpi``, and the scale from points (1/72 inch) that a page is rendered with."""
    width, height = page.get_size()
    scale = dpi / 72
    whole = math.ceil(width * scale), math.ceil(height * scale)
    if max_edge:
        scale = min(scale, max_edge / max(width, height, 1))
    if (area := width * height * scale * scale) > max_pixels:
        scale *= (max_pixels / area) ** 0.5
    return whole, scale


def main(command: str, *arguments: str) -> None:
    """Do what the command says: ``pages``, ``text NUMBERS`` or ``render NUMBER DPI MAX_EDGE MAX_PIXELS``."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        if not len(document):
            raise ValueError("no pages")
    except (pypdfium2.PdfiumError, ValueError) as error:
        answer({"error": "password" if "password" in str(error).lower() else "damaged"})
        return
    try:
        match command:
            case "pages":
                answer({"pages": len(document)})
            case "text":
                numbers = json.loads(arguments[0])
                texts: list[str] = []
                for number in numbers:
                    texts.append(document[number - 1].get_textpage().get_text_bounded())
                    if sum(map(len, texts)) > LONGEST_TEXT:
                        answer({"error": "text"})
                        return
                answer({"texts": texts})
            case _:
                document.init_forms()  # what is filled in
                page = document[int(arguments[0]) - 1]
                (width, height), scale = size(page, *map(int, arguments[1:]))
                drawn = page.render(scale=scale, rev_byteorder=True)
                facts = {"width": width, "height": height, "size": [drawn.width, drawn.height], "stride": drawn.stride}
                answer(facts, bytes(drawn.buffer))
    except pypdfium2.PdfiumError:
        answer({"error": "damaged"})


if __name__ == "__main__":
    bounded()
    main(*sys.argv[1:])
