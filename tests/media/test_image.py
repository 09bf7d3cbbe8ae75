"""Pictures: the right colours whatever the mode, upright, never larger than allowed."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from mistralrs_cli.decoded import DecodedImage
from mistralrs_cli.errors import MediaDecodeError, MediaTooLarge
from mistralrs_cli.media import decode_image
from mistralrs_cli.messages import MediaOptions
from mistralrs_cli.options import MediaPolicy

from . import profiles
from .conftest import POLICY, convert
from .heif import heic

RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read(data: bytes, max_edge: int | None = None, policy: MediaPolicy = POLICY) -> DecodedImage:
    return decode_image(data, "x.png", MediaOptions(max_edge=max_edge), policy)


def pixel(picture: DecodedImage, x: int = 2, y: int = 2) -> tuple[int, ...]:
    assert picture.image.mode == "RGB"
    value = picture.image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(level) for level in value)


def near(found: tuple[int, ...], wanted: tuple[int, ...], slack: int = 3) -> bool:
    return all(abs(one - other) <= slack for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA"])
def test_formats(form: str) -> None:
    picture = read(saved(Image.new("RGB", (32, 24), (200, 40, 90)), form))
    assert near(pixel(picture), (200, 40, 90), 6)
    assert picture.format == form
    assert (picture.width, picture.height) == ((24, 24) if form == "ICO" else (32, 24)) or form == "ICO"


@pytest.mark.parametrize(
    ("image", "form", "wanted"),
    [
        (Image.new("L", (4, 4), 100), "PNG", (100, 100, 100)),
        (Image.new("1", (4, 4), 1), "PNG", WHITE),
        (Image.new("P", (4, 4), 0), "PNG", (0, 0, 0)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", RED),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", RED),
        (Image.new("YCbCr", (4, 4), (128, 128, 128)), "JPEG", (128, 128, 128)),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG", WHITE),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "PNG", RED),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG", (127, 127, 127)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "WEBP", (127, 127, 127)),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", WHITE),
        (Image.new("I;16", (4, 4), 30_000), "PNG", (117, 117, 117)),
        (Image.new("I;16", (4, 4), 200), "PNG", (1, 1, 1)),
        (Image.new("I", (4, 4), 30_000), "TIFF", (117, 117, 117)),
        (Image.new("I", (4, 4), 200), "TIFF", (200, 200, 200)),
        (Image.new("F", (4, 4), 0.5), "TIFF", (128, 128, 128)),
        (Image.new("F", (4, 4), 200.0), "TIFF", (200, 200, 200)),
        (Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF", WHITE),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_modes(image: Image.Image, form: str, wanted: tuple[int, ...]) -> None:
    assert near(pixel(read(saved(image, form))), wanted)


@pytest.mark.parametrize("options", [{"transparency": 0}, {"transparency": bytes([0, 255])}])
def test_transparent_palette(options: dict[str, Any]) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)
    picture = read(saved(image, "PNG", **options))
    assert pixel(picture) == WHITE
    assert pixel(picture, 3, 3) == (0, 0, 255)


def test_transparent_colour_of_rgb() -> None:
    assert pixel(read(saved(Image.new("RGB", (4, 4), "lime"), "PNG", transparency=(0, 255, 0)))) == WHITE


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, form: str) -> None:
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :16] = RED  # a square in the upper left corner
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](upright)))
    picture = read(saved(stored, form, exif=exif))
    assert (picture.width, picture.height) == picture.image.size == (64, 32)
    assert near(pixel(picture, 5, 5), RED, 12)
    assert max(pixel(picture, 58, 5) + pixel(picture, 5, 27) + pixel(picture, 58, 27)) < 12


def test_damaged_exif_is_ignored() -> None:
    assert near(pixel(read(saved(Image.new("RGB", (9, 9), "red"), "JPEG", exif=b"Exif\0\0II*\0garbage"))), RED)


@pytest.mark.parametrize(
    ("size", "max_edge", "wanted"),
    [
        ((4000, 3000), 1000, (1000, 750)),
        ((300, 4000), 1000, (75, 1000)),
        ((64, 48), 1000, (64, 48)),
        ((2000, 1), 10, (10, 1)),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_max_edge_only_shrinks(size: tuple[int, int], max_edge: int, wanted: tuple[int, int], form: str) -> None:
    picture = read(saved(Image.new("RGB", size, "red"), form), max_edge)
    assert picture.image.size == wanted
    assert (picture.width, picture.height) == size
    assert near(pixel(picture, 0, 0), RED)


def test_max_edge_with_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read(saved(Image.new("RGB", (4000, 2000), "red"), "JPEG", exif=exif), 500)
    assert (picture.image.size, picture.width, picture.height) == ((250, 500), 2000, 4000)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        assert near(pixel(read(data)), RED, 6)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"x.png is empty \(0 bytes\)"),
        (b"just some words\n", "x.png is a text file, not an image"),
        ("Grüße".encode("utf-16"), "x.png is a text file"),
        (b"<!DOCTYPE html><html></html>", r"x.png is a web page \(HTML\)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "x.png is an SVG drawing"),
        (b"%PDF-1.7\n", "x.png is a damaged PDF document"),
        (b"PK\x03\x04" + bytes(40), "x.png is a ZIP archive"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "x.png is a PostScript document"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(40), r"x.png is audio \(WAV\), not an image"),
        (b"\0\0\0\x18ftypisom" + bytes(40), r"x.png is a video \(MP4\), not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "x.png .*damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "x.png .*damaged"),
        (bytes(range(128, 256)) * 4, "x.png is not an image in a known format"),
    ],
)
def test_not_a_picture(data: bytes, says: str) -> None:
    with pytest.raises(MediaDecodeError, match=says) as caught:
        read(data)
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_truncated(form: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(1, 255, (256, 256, 3), np.uint8)
    data = saved(Image.fromarray(noise), form)
    data = data[: int(len(data) * kept)]
    if kept > 0.5 and form in ("JPEG", "PNG", "GIF", "TIFF", "BMP"):  # as browsers do
        picture = read(data)
        share = re.fullmatch(r"the file breaks off: (\d+)% of the image is there", picture.note)
        assert share
        assert int(share.group(1)) == pytest.approx(100 * kept, abs=9)
        return
    with pytest.raises(MediaDecodeError, match=r"damaged|cannot be read as an image"):
        read(data)


def test_bomb_is_refused_before_it_is_decoded() -> None:
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    def bomb(width: int, height: int) -> bytes:
        header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
        pixels = zlib.compress(bytes(1_000_000))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    with pytest.raises(MediaTooLarge, match=r"x.png unpacks to more pixels than is safe"):
        read(bomb(100_000, 100_000))
    with pytest.raises(MediaTooLarge, match="has 9500×9500 pixels, more than the limit of 1000000"):
        read(bomb(9500, 9500), policy=MediaPolicy(pixels=1_000_000))


@pytest.mark.parametrize("tiles", [["red"], ["red", "blue"]], ids=["plain", "tiles"])
@pytest.mark.parametrize("quarters", [0, 1])
def test_heic_through_ffmpeg(tmp_path: Path, tiles: list[str], quarters: int) -> None:
    picture = read(heic(tmp_path, tiles, 64, quarters))
    size = (64 * len(tiles), 64)
    assert picture.image.size == (picture.width, picture.height) == (size if quarters == 0 else size[::-1])
    assert picture.format == "HEIC"
    last = picture.width - 3, picture.height - 3
    # a quarter turn is counted anticlockwise: what was on the left is below
    corners = pixel(picture), pixel(picture, *last)
    assert near(corners[quarters], RED, 6)
    assert near(corners[1 - quarters], RED if len(tiles) == 1 else (0, 0, 255), 6)


def test_heic_is_shrunk_and_limited(tmp_path: Path) -> None:
    data = heic(tmp_path, ["red", "blue"], 64)
    assert read(data, 32).image.size == (32, 16)
    with pytest.raises(MediaTooLarge, match="128×64 pixels"):
        read(data, policy=MediaPolicy(pixels=8000))
    with pytest.raises(MediaDecodeError, match="cannot be read as an image"):
        read(data[:300])


def test_heic_by_its_profile(tmp_path: Path) -> None:
    swapped = profiles.rgb(profiles.SRGB[::-1], 2.2)
    assert near(pixel(read(heic(tmp_path, ["blue"], 64, profile=swapped))), RED, 12)


def test_hdr_avif(tmp_path: Path) -> None:
    path = tmp_path / "x.avif"
    convert(
        *("-f", "lavfi", "-i", "color=white:s=96x72,format=yuv420p10le", "-frames:v", "1", "-cpu-used", "8"),
        *("-vf", "lutyuv=y=569:u=512:v=512,setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"),
        *("-c:v", "libaom-av1", "-still-picture", "1", str(path)),
    )
    picture = read(path.read_bytes())
    assert near(pixel(picture), (242, 242, 242), 6)
    assert picture.note == "PQ (HDR) shown as SDR"


def test_a_blank_page_of_100_million_pixels() -> None:
    data = saved(Image.new("1", (9999, 9999), 1), "PNG")
    assert len(data) < 50_000
    picture = read(data)
    assert (picture.width, picture.height) == (9999, 9999)
    assert picture.image.width * picture.image.height <= 1 << 25
    assert pixel(picture) == WHITE


def test_texts_beside_a_png() -> None:
    image = Image.new("RGB", (8, 8), RED)
    for compressed in (True, False):
        info = PngImagePlugin.PngInfo()
        info.add_text("workflow", "x" * (3 << 20), zip=compressed)
        info.add_itxt("XML:com.adobe.xmp", "y" * (2 << 20), zip=compressed)
        assert pixel(read(saved(image, "PNG", pnginfo=info))) == RED
    info = PngImagePlugin.PngInfo()
    for number in range(90):  # more than Pillow takes together
        info.add_text(f"part {number}", "x" * (1 << 20), zip=True)
    xmp = '<x tiff:Orientation="6"/>'
    info.add_itxt("XML:com.adobe.xmp", xmp)
    turned = read(saved(Image.new("RGB", (8, 4), RED), "PNG", pnginfo=info))
    assert turned.image.size == (4, 8)


def test_damage_beside_the_picture_of_a_png() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "words", zip=True)
    data = bytearray(saved(Image.new("RGB", (8, 8), RED), "PNG", pnginfo=info, icc_profile=b"profile"))
    data[data.index(b"zTXt") + 15] ^= 0xFF
    data[data.index(b"iCCP") + 16] = 7  # a compression that does not exist
    assert pixel(read(bytes(data))) == RED


def test_a_progressive_jpeg_that_lacks_its_end() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    data = saved(Image.fromarray(noise), "JPEG", progressive=True)
    picture = read(data[: len(data) * 2 // 3])
    assert picture.note == "the file breaks off: only a coarse image is there"
    assert np.asarray(picture.image).std() > 30


def test_jpeg_xl_through_ffmpeg(tmp_path: Path) -> None:
    convert("-f", "lavfi", "-i", "color=red:s=64x48", "-frames:v", "1", "-c:v", "libjxl", str(tmp_path / "x.jxl"))
    assert near(pixel(read((tmp_path / "x.jxl").read_bytes())), RED)


def test_no_outside_program_draws_postscript() -> None:
    dos = b"\xc5\xd0\xd3\xc6" + (32).to_bytes(4, "little") + (60).to_bytes(4, "little") + bytes(20)
    with pytest.raises(MediaDecodeError):
        read(dos + b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
