"""What the bytes are, by their content; a name never decides."""

from pathlib import Path

from ..messages import MediaFormat

HEAD = 4096


def beginning(content: bytes | Path) -> bytes:
    """The first bytes, which show the format of all but a few images. Raises ``OSError``."""
    if isinstance(content, bytes):
        return content[:HEAD]
    with content.open("rb") as file:
        return file.read(HEAD)


def identify(data: bytes) -> MediaFormat | None:
    """The format of ``data``, media or not; ``None`` when it is nothing we know."""
    head = bytes(data[:HEAD])
    return _image(head, data) or _container(head) or _audio(head) or _other(head, data)


def _image(head: bytes, data: bytes) -> MediaFormat | None:
    match head:
        case _ if head.startswith(b"\xff\xd8\xff"):
            return MediaFormat("JPEG", "image")
        case _ if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return MediaFormat("PNG", "image", animated=b"acTL" in head[:HEAD].partition(b"IDAT")[0])
        case _ if head.startswith((b"GIF87a", b"GIF89a")):
            return MediaFormat("GIF", "image", animated=True)
        case _ if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return MediaFormat(
                "WebP", "image", animated=head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
            )
        case _ if head[:2] == b"BM" and len(data) > 26 and head[6:10] == bytes(4):
            return MediaFormat("BMP", "image")
        case _ if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            return MediaFormat("TIFF", "image")
        case _ if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
            return MediaFormat("JPEG 2000", "image")
        case _ if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
            return MediaFormat("JPEG XL", "image")
        case _ if head.startswith(b"8BPS"):
            return MediaFormat("PSD", "image")
        case _ if b"%PDF-" in head[:1024]:
            return MediaFormat("PDF", "image")
        case _ if head.startswith(b"qoif"):
            return MediaFormat("QOI", "image")
        case _ if head.startswith(b"\0\0\1\0") and 0 < int.from_bytes(head[4:6], "little") < 256:
            return MediaFormat("ICO", "image")
        case _ if len(head) > 3 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
            return MediaFormat("PNM", "image")
        case _ if head[4:8] == b"ftyp":
            return _still(head)
    return None


def _still(head: bytes) -> MediaFormat | None:
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 256), 4)}
    match head[8:12]:
        case b"avif" | b"avis":
            return MediaFormat("AVIF", "image", animated=head[8:12] == b"avis")
        case b"heic" | b"heix" | b"heim" | b"heis":
            return MediaFormat("HEIC", "image")
        case b"hevc" | b"hevx" | b"hevm" | b"hevs":
            return MediaFormat("HEIC", "image", animated=True)
        case b"mif1" | b"msf1":
            return MediaFormat("AVIF" if b"avif" in brands else "HEIC", "image", animated=head[8:12] == b"msf1")
        case b"crx ":
            return MediaFormat("CR3", None, hint="This is a camera's raw image: export it as JPEG.")
    return None


def _container(head: bytes) -> MediaFormat | None:
    match head:
        case _ if head[4:8] == b"ftyp":
            match head[8:12]:
                case b"M4A " | b"M4B " | b"M4P ":
                    return MediaFormat("M4A", "audio")
                case b"qt  ":
                    return MediaFormat("MOV", "video")
            return MediaFormat("MP4", "video")
        case _ if head[4:8] in (b"moov", b"mdat", b"wide", b"skip", b"pnot"):
            return MediaFormat("MOV", "video")
        case _ if head.startswith(b"\x1a\x45\xdf\xa3"):
            return MediaFormat("WebM" if b"webm" in head[:64] else "MKV", "video")
        case _ if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return MediaFormat("AVI", "video")
        case _ if head.startswith(b"FLV\x01"):
            return MediaFormat("FLV", "video")
        case _ if head.startswith((b"\0\0\1\xba", b"\0\0\1\xb3")):
            return MediaFormat("MPEG", "video")
        case _ if len(head) > 188 * 2 and head[0] == head[188] == head[376] == 0x47:
            return MediaFormat("MPEG-TS", "video")
        case _ if len(head) > 192 * 2 + 4 and head[4] == head[196] == head[388] == 0x47:
            return MediaFormat("M2TS", "video")
        case _ if head.startswith(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01"):
            return MediaFormat("MXF", "video")
        case _ if head.startswith(b"DKIF"):
            return MediaFormat("IVF", "video")
        case _ if head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
            return MediaFormat("WMV", "video")
        case _ if head.startswith(b"YUV4MPEG2 "):
            return MediaFormat("Y4M", "video")
        case _ if head.startswith(b"OggS"):
            return MediaFormat("OGG", "video" if b"theora" in head or b"OVP80" in head else "audio")
    return None


def _audio(head: bytes) -> MediaFormat | None:
    match head:
        case _ if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
            return MediaFormat("WAV", "audio")
        case _ if head.startswith(b"fLaC"):
            return MediaFormat("FLAC", "audio")
        case _ if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return MediaFormat("AIFF", "audio")
        case _ if head.startswith(b"ID3"):
            return MediaFormat("MP3", "audio")
        case _ if head.startswith(b".snd"):
            return MediaFormat("AU", "audio")
        case _ if head.startswith(b"caff"):
            return MediaFormat("CAF", "audio")
        case _ if head.startswith(b"#!AMR"):
            return MediaFormat("AMR", "audio")
        case _ if _adts(head):
            return MediaFormat("AAC", "audio")
        case _ if _mp3(head):
            return MediaFormat("MP3", "audio")
    return None


def _adts(head: bytes) -> bool:
    """Two AAC frames in a row: eleven set bits alone are found in too much."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return False
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length > 7 and head[length : length + 1] == b"\xff" and head[length + 1] & 0xF6 == 0xF0


def _mp3(head: bytes) -> bool:
    """Two MPEG audio frames in a row."""
    length = _mp3_frame(head)
    return length > 0 and (len(head) <= length or _mp3_frame(head[length:]) > 0)


def _mp3_frame(head: bytes) -> int:
    """Length in bytes of the MPEG layer 3 frame at the start of ``head``; 0 if there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, hertz = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate in (0, 15) or hertz == 3:
        return 0
    first = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    second = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    samples = (44100, 48000, 32000)[hertz] >> {3: 0, 2: 1, 0: 2}[version]
    factor, kilobits = (144, first[rate]) if version == 3 else (72, second[rate])
    return factor * kilobits * 1000 // samples + (head[2] >> 1 & 1)


# the first bytes of what people have beside their media; the longest come first where one begins like another
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"%!PS", "a PostScript document", "Convert it to PNG first."),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document (EPS)", "Convert it to PNG first."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "Save it as PDF, and its pages as images."),
    (b"{\\rtf", "a Rich Text document", ""),
    (b"AT&TFORM", "a DjVu document", "Save its pages as images first."),
    (b"v/1\x01", "an OpenEXR image", "Convert it to PNG or JPEG."),
    (b"#?RADIANCE", "a Radiance HDR image", "Convert it to PNG or JPEG."),
    (b"SIMPLE  =", "a FITS image", "Convert it to PNG or JPEG."),
    (b"MThd", "a MIDI file: notes, not audio", "Render it to WAV first."),
    (b"#EXTM3U", "a playlist", "Give the file that it names."),
    (b"[playlist]", "a playlist", "Give the file that it names."),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull"),
    (b"\0\x05\x16\x07", "macOS's side file of another (AppleDouble)", "Give the file without ._ before its name."),
    (b"bplist00", "an Apple property list", ""),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"GGUF", "a model's weights (GGUF)", "A model is named with -m."),
    (b"\x93NUMPY", "a NumPy array", "The Python SDK takes arrays."),
    (b"\x89HDF\r\n", "an HDF5 file", ""),
    (b"Rar!\x1a\x07", "an archive (RAR)", "Unpack it first."),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", "Unpack it first."),
    (b"\x1f\x8b", "a compressed archive (gzip)", "Unpack it first."),
    (b"BZh", "a compressed archive (bzip2)", "Unpack it first."),
    (b"\xfd7zXZ", "a compressed archive (xz)", "Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "a compressed archive (zstd)", "Unpack it first."),
    (b"\x7fELF", "a program", ""),
    (b"MZ", "a program", ""),
    (b"\xcf\xfa\xed\xfe", "a program", ""),
    (b"\xca\xfe\xba\xbe", "a program", ""),
    (b"\0asm", "a program (WebAssembly)", ""),
    (b"OTTO", "a font", ""),
    (b"wOFF", "a font", ""),
    (b"wOF2", "a font", ""),
)
_ZIPS: tuple[tuple[bytes, str, str], ...] = (
    (b"word/", "a Word document", "Save it as PDF, and its pages as images."),
    (b"ppt/", "a PowerPoint presentation", "Save its slides as images first."),
    (b"xl/", "an Excel workbook", "Save it as PDF, and its pages as images."),
    (b"application/epub+zip", "an e-book (EPUB)", "Save its pages as images first."),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file", "Save it as PDF, and its pages as images."),
    (b"AndroidManifest.xml", "an Android package", ""),
    (b".npy", "NumPy arrays", "The Python SDK takes arrays."),
)


def _other(head: bytes, data: bytes) -> MediaFormat | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    match head:
        case _ if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
            return MediaFormat("a web page (HTML)", None, hint="Give the address of the file itself.")
        case _ if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!--")) and b"<svg" in head):
            return MediaFormat("an SVG drawing", None, hint="Convert it to PNG first.")
        case _ if head.startswith(b"PK\x03\x04"):
            for inside, name, hint in _ZIPS:
                if inside in head:
                    return MediaFormat(name, None, hint=hint)
            return MediaFormat("a ZIP archive or office document", None, hint="Unpack it first.")
        case _ if head[257:262] == b"ustar":
            return MediaFormat("an archive (tar)", None, hint="Unpack it first.")
        case _ if head[128:132] == b"DICM":
            return MediaFormat("a medical image (DICOM)", None, hint="Convert it to PNG first.")
    for beginning, name, hint in _BEGINNINGS:
        if head.startswith(beginning):
            return MediaFormat(name, None, hint=hint)
    if len(head) > 64 and not head.strip(b"\0") and not data.strip(b"\0"):
        return MediaFormat("nothing but zeros", None, hint="The copy or download broke off: fetch it again.")
    return MediaFormat("a text file", None) if head and _is_text(head) else None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and len(head) % 2 == 0:
        return head[2:4].find(b"\0") >= 0
    if any(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # the last character may have been cut in half
        return error.start >= len(head) - 3 and len(head) == HEAD
    return True
