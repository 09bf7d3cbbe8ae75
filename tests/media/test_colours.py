"""Colours: what a profile, code points or a gamma say becomes sRGB; what says nothing of use is passed over."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms

from mistralrs_cli.decoded import DecodedImage
from mistralrs_cli.media import coding, decode_image
from mistralrs_cli.messages import MediaOptions

from . import profiles
from .conftest import POLICY

P3 = profiles.rgb(profiles.DISPLAY_P3, 2.2)
ADOBE = profiles.rgb(profiles.ADOBE_RGB, 2.2)
SWAPPED = profiles.rgb(profiles.SRGB[::-1], 2.2)
RED, BLUE, WHITE = (220, 20, 20), (20, 20, 220), (255, 255, 255)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read(data: bytes) -> DecodedImage:
    return decode_image(data, "x", MediaOptions(), POLICY)


def pixel(picture: DecodedImage) -> tuple[int, ...]:
    found = picture.image.getpixel((picture.image.width // 2, picture.image.height // 2))
    assert isinstance(found, tuple)
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...], slack: int = 4) -> bool:
    return all(abs(one - other) <= slack for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0}), ("TIFF", {}), ("WEBP", {"lossless": True}),
     ("AVIF", {"quality": 100, "subsampling": "4:4:4"}), ("JPEG", {"progressive": True, "quality": 98})],
)  # fmt: skip
def test_a_profile_decides(form: str, options: dict[str, object]) -> None:
    picture = read(saved(Image.new("RGB", (64, 48), BLUE), form, icc_profile=SWAPPED, **options))
    assert near(pixel(picture), RED, 12)
    assert picture.note == ""


@pytest.mark.parametrize(
    ("profile", "stored", "wanted"),
    [
        (P3, (200, 60, 50), (219, 37, 34)),  # by the matrix of Display P3 to sRGB
        (P3, WHITE, WHITE),
        (P3, (128, 128, 128), (127, 127, 127)),
        (ADOBE, (120, 180, 60), (80, 181, 45)),
        (ADOBE, (0, 0, 0), (0, 0, 0)),
    ],
)
def test_gamuts(profile: bytes, stored: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
    assert near(pixel(read(saved(Image.new("RGB", (8, 8), stored), icc_profile=profile))), wanted, 3)


def test_srgb_stays_exactly_as_it_is() -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(saved(image, icc_profile=own)).image.tobytes() == image.tobytes()
    assert read(saved(image)).image.tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_with_a_profile_of_grey(mode: str) -> None:
    fills: dict[str, Any] = {"L": 128, "LA": (128, 255), "1": 1, "I;16": 128 * 257}
    image = Image.new(mode, (8, 8), fills[mode])
    found = pixel(read(saved(image, icc_profile=profiles.grey(1.0))))
    assert near(found, WHITE if mode == "1" else (188, 188, 188), 2)


def test_grey_with_a_profile_of_rgb() -> None:
    assert near(pixel(read(saved(Image.new("L", (8, 8), 128), icc_profile=ADOBE))), (127, 127, 127), 3)


def test_palettes_and_transparency() -> None:
    half = Image.new("RGBA", (8, 8), (*BLUE, 0))
    half.paste((*BLUE, 255), (0, 0, 8, 5))
    picture = read(saved(half, icc_profile=SWAPPED))
    assert near(pixel(picture), RED, 9)
    assert picture.image.getpixel((4, 7)) == WHITE
    palette = Image.new("RGB", (8, 8), BLUE).quantize(4)
    assert near(pixel(read(saved(palette, icc_profile=SWAPPED))), RED, 9)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_by_its_profile(form: str) -> None:
    green = (140, 70, 190)  # of Lab: L 55 %, a -58, b 62
    image = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    plain = pixel(read(saved(image, form)))
    assert near(plain, (0, 255, 255), 4)
    red, shade, blue = pixel(read(saved(image, form, icc_profile=profiles.cmyk(green))))
    assert shade > 120
    assert shade > red + 60
    assert shade > blue + 60


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (b"no profile at all", "damaged"),
        (P3[:200], "damaged"),
        (P3[:60] + bytes(400), "damaged"),
        (profiles.rgb(((0.0, 0.0, 0.0),) * 3, 2.2), "damaged"),
        (profiles.grey(2.2), "other colours"),
        (profiles.cmyk((140, 70, 190)), "other colours"),
    ],
)
def test_a_profile_of_no_use_is_passed_over(profile: bytes, says: str) -> None:
    picture = read(saved(Image.new("RGB", (8, 8), RED), icc_profile=profile))
    assert pixel(picture) == RED
    assert says in picture.note
    assert "passed over" in picture.note


def test_a_profile_that_pillow_takes_for_too_large() -> None:
    large = SWAPPED + bytes(2 << 20)
    data = saved(Image.new("RGB", (8, 8), BLUE), icc_profile=struct.pack(">I", len(large)) + large[4:])
    assert near(pixel(read(data)), RED, 9)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return data[:33] + chunk(kind, content) + data[33:]


@pytest.mark.parametrize(("gamma", "wanted"), [(100_000, 188), (45_455, 128), (55_556, 147)])
def test_gamma(gamma: int, wanted: int) -> None:
    data = saved(Image.new("RGB", (8, 8), (128, 128, 128)))
    assert near(pixel(read(with_chunk(data, b"gAMA", struct.pack(">I", gamma)))), (wanted,) * 3, 2)


def pq(nits: float) -> int:
    """The level of 255 of a luminance (SMPTE ST 2084)."""
    root = (nits / 10_000) ** (2610 / 16384)
    linear: float = 255 * ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)
    return round(linear)


def test_hdr_png() -> None:
    def shown(level: int, transfer: int) -> int:
        data = saved(Image.new("RGB", (8, 8), (level,) * 3))
        return pixel(read(with_chunk(data, b"cICP", bytes((9, transfer, 0, 1)))))[0]

    assert 235 <= shown(pq(203), coding.PQ) <= 250  # white paper
    assert shown(pq(203), coding.PQ) < shown(pq(500), coding.PQ) < shown(pq(1000), coding.PQ) <= 255
    assert shown(pq(203 * 0.2159), coding.PQ) == pytest.approx(128, abs=4)  # a middle grey of the screen
    assert 235 <= shown(191, coding.HLG) <= 250  # 75 % of the signal
    assert shown(0, coding.PQ) == shown(0, coding.HLG) == 0


def test_wide_gamut_by_code_points() -> None:
    data = saved(Image.new("RGB", (8, 8), (200, 60, 50)))
    assert near(pixel(read(with_chunk(data, b"cICP", bytes((12, 13, 0, 1))))), (215, 44, 39), 4)
    assert pixel(read(with_chunk(data, b"cICP", bytes((1, 13, 0, 1))))) == (200, 60, 50)
