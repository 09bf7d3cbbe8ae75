"""PDF documents made by hand: each page of one colour, with a line of text on it."""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))

ENCRYPTED = "<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <{0}> /U <{0}> >>".format("41" * 32)


def document(count: int, *, size: tuple[int, int] = (144, 72), encrypted: bool = False) -> bytes:
    """A document of pages of ``size`` points (1/72 inch); page *n* says ``page n`` in Helvetica."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in range(count))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(count):
        red, green, blue = (level / 255 for level in COLOURS[number % len(COLOURS)])
        drawn = f"{red} {green} {blue} rg 0 0 {size[0]} {size[1]} re f"
        words = f"0 g BT /F1 8 Tf 10 10 Td (page {number + 1}) Tj ET"
        content = f"{drawn} {words}"
        resources = "<< /Font << /F1 3 0 R >> >>"
        box = f"[0 0 {size[0]} {size[1]}]"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Resources {resources} /Contents {5 + 2 * number} 0 R >>"
        objects += [page, f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"]
    if encrypted:
        objects.append(ENCRYPTED)
    return assembled(objects, encrypted=encrypted)


def assembled(objects: Sequence[str], *, encrypted: bool) -> bytes:
    """The file of these objects, with its table of contents."""
    data = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    lines = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    more = f" /Encrypt {len(objects)} 0 R /ID [<{'00' * 16}> <{'00' * 16}>]" if encrypted else ""
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R{more} >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{lines}{trailer}".encode()
