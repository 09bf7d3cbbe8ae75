"""What the bytes are, by their content; a name never decides."""

from dataclasses import dataclass

from ..messages import Modality

HEAD = 4096


@dataclass(frozen=True, slots=True)
class Format:
    """A recognised format: its name for people, and the modality it carries (``None``: not a medium, and then perhaps a
    hint at what to do)."""

    name: str
    kind: Modality | None
    animated: bool = False
    hint: str = ""


def identify(data: bytes) -> Format | None:
    """The format of ``data``, media or not; ``None`` when it is nothing we know."""
    head = bytes(data[:HEAD])
    return _image(head, data) or _container(head) or _audio(head) or _other(head, data)


def _image(head: bytes, data: bytes) -> Format | None:
    match head:
        case _ if head.startswith(b"\xff\xd8\xff"):
            return Format("JPEG", "image")
        case _ if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return Format("PNG", "image", animated=b"acTL" in head[:HEAD].partition(b"IDAT")[0])
        case _ if head.startswith((b"GIF87a", b"GIF89a")):
            return Format("GIF", "image", animated=True)
        case _ if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return Format("WebP", "image", animated=head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2))
        case _ if head[:2] == b"BM" and len(data) > 26 and head[6:10] == bytes(4):
            return Format("BMP", "image")
        case _ if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            return Format("TIFF", "image")
        case _ if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
            return Format("JPEG 2000", "image")
        case _ if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
            return Format("JPEG XL", "image")
        case _ if head.startswith(b"8BPS"):
            return Format("PSD", "image")
        case _ if head.startswith(b"qoif"):
            return Format("QOI", "image")
        case _ if head.startswith(b"\0\0\1\0") and 0 < int.from_bytes(head[4:6], "little") < 256:
            return Format("ICO", "image")
        case _ if len(head) > 3 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
            return Format("PNM", "image")
        case _ if head[4:8] == b"ftyp":
            return _still(head)
    return None


def _still(head: bytes) -> Format | None:
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 256), 4)}
    match head[8:12]:
        case b"avif" | b"avis":
            return Format("AVIF", "image", animated=head[8:12] == b"avis")
        case b"heic" | b"heix" | b"heim" | b"heis":
            return Format("HEIC", "image")
        case b"hevc" | b"hevx" | b"hevm" | b"hevs":
            return Format("HEIC", "image", animated=True)
        case b"mif1" | b"msf1":
            return Format("AVIF" if b"avif" in brands else "HEIC", "image", animated=head[8:12] == b"msf1")
        case b"crx ":
            return Format("CR3", None, hint="This is a camera's raw picture: export it as JPEG.")
    return None


def _container(head: bytes) -> Format | None:
    match head:
        case _ if head[4:8] == b"ftyp":
            match head[8:12]:
                case b"M4A " | b"M4B " | b"M4P ":
                    return Format("M4A", "audio")
                case b"qt  ":
                    return Format("MOV", "video")
            return Format("MP4", "video")
        case _ if head[4:8] in (b"moov", b"mdat", b"wide", b"skip", b"pnot"):
            return Format("MOV", "video")
        case _ if head.startswith(b"\x1a\x45\xdf\xa3"):
            return Format("WebM" if b"webm" in head[:64] else "MKV", "video")
        case _ if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return Format("AVI", "video")
        case _ if head.startswith(b"FLV\x01"):
            return Format("FLV", "video")
        case _ if head.startswith((b"\0\0\1\xba", b"\0\0\1\xb3")):
            return Format("MPEG", "video")
        case _ if len(head) > 188 * 2 and head[0] == head[188] == head[376] == 0x47:
            return Format("MPEG-TS", "video")
        case _ if len(head) > 192 * 2 + 4 and head[4] == head[196] == head[388] == 0x47:
            return Format("M2TS", "video")
        case _ if head.startswith(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01"):
            return Format("MXF", "video")
        case _ if head.startswith(b"DKIF"):
            return Format("IVF", "video")
        case _ if head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
            return Format("WMV", "video")
        case _ if head.startswith(b"YUV4MPEG2 "):
            return Format("Y4M", "video")
        case _ if head.startswith(b"OggS"):
            return Format("OGG", "video" if b"theora" in head or b"OVP80" in head else "audio")
    return None


def _audio(head: bytes) -> Format | None:
    match head:
        case _ if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
            return Format("WAV", "audio")
        case _ if head.startswith(b"fLaC"):
            return Format("FLAC", "audio")
        case _ if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return Format("AIFF", "audio")
        case _ if head.startswith(b"ID3"):
            return Format("MP3", "audio")
        case _ if head.startswith(b".snd"):
            return Format("AU", "audio")
        case _ if head.startswith(b"caff"):
            return Format("CAF", "audio")
        case _ if head.startswith(b"#!AMR"):
            return Format("AMR", "audio")
        case _ if _adts(head):
            return Format("AAC", "audio")
        case _ if _mp3(head):
            return Format("MP3", "audio")
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
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "Save it as PDF, and its pages as pictures."),
    (b"{\\rtf", "a Rich Text document", ""),
    (b"AT&TFORM", "a DjVu document", "Save its pages as pictures first."),
    (b"v/1\x01", "an OpenEXR picture", "Convert it to PNG or JPEG."),
    (b"#?RADIANCE", "a Radiance HDR picture", "Convert it to PNG or JPEG."),
    (b"SIMPLE  =", "a FITS picture", "Convert it to PNG or JPEG."),
    (b"MThd", "a MIDI file: notes, not sound", "Render it to WAV first."),
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
    (b"word/", "a Word document", "Save it as PDF, and its pages as pictures."),
    (b"ppt/", "a PowerPoint presentation", "Save its slides as pictures first."),
    (b"xl/", "an Excel workbook", "Save it as PDF, and its pages as pictures."),
    (b"application/epub+zip", "an e-book (EPUB)", "Save its pages as pictures first."),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file", "Save it as PDF, and its pages as pictures."),
    (b"AndroidManifest.xml", "an Android package", ""),
    (b".npy", "NumPy arrays", "The Python SDK takes arrays."),
)


def _other(head: bytes, data: bytes) -> Format | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    match head:
        case _ if start.startswith(b"%pdf"):
            return Format("a PDF document", None, hint="Save its pages as pictures first, as with pdftoppm -png.")
        case _ if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
            return Format("a web page (HTML)", None, hint="Give the address of the file itself.")
        case _ if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!--")) and b"<svg" in head):
            return Format("an SVG drawing", None, hint="Convert it to PNG first.")
        case _ if head.startswith(b"PK\x03\x04"):
            for inside, name, hint in _ZIPS:
                if inside in head:
                    return Format(name, None, hint=hint)
            return Format("a ZIP archive or office document", None, hint="Unpack it first.")
        case _ if head[257:262] == b"ustar":
            return Format("an archive (tar)", None, hint="Unpack it first.")
        case _ if head[128:132] == b"DICM":
            return Format("a medical picture (DICOM)", None, hint="Convert it to PNG first.")
    for beginning, name, hint in _BEGINNINGS:
        if head.startswith(beginning):
            return Format(name, None, hint=hint)
    if len(head) > 64 and not head.strip(b"\0") and not data.strip(b"\0"):
        return Format("nothing but zeros", None, hint="The copy or download broke off: fetch it again.")
    return Format("a text file", None) if head and _is_text(head) else None


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
