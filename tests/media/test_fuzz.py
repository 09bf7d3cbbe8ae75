"""Damaged media, made from every sample with a seed: decoding answers, or raises a ``MediaError``, and nothing else."""

import os
import random
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mistralrs_cli.errors import MediaError
from mistralrs_cli.media import VideoSampling, decode, decoded_size
from mistralrs_cli.media.kinds import kind_of
from mistralrs_cli.messages import MediaBytes, MediaOptions, Modality
from mistralrs_cli.options import MediaPolicy

from . import profiles

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
KINDS: dict[str, Modality] = {".png": "image", ".jpg": "image", ".gif": "video", ".avi": "video", ".mkv": "video",
    ".mov": "video", ".mp4": "video", ".webm": "video"}  # fmt: skip
POLICY = MediaPolicy(decode_seconds=20)
CPU_SECONDS = 4  # with those of ffmpeg; about five damages of each sample
NUMBERS = (bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1")


def samples() -> dict[str, tuple[Modality, bytes]]:
    """Every sample of the examples, and pictures and sounds of odd kinds."""
    found = {path.name: (KINDS.get(path.suffix, "audio"), path.read_bytes()) for path in sorted(SAMPLES.iterdir())}
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "ICO", "TGA", "PPM", "GIF"):
        file = BytesIO()
        noise.save(file, form)
        found[form] = ("image", file.getvalue())
    for mode, form in (("CMYK", "JPEG"), ("L", "PNG"), ("RGB", "JPEG"), ("RGBA", "PNG"), ("I;16", "TIFF")):
        file = BytesIO()
        profile = profiles.rgb(profiles.DISPLAY_P3, 2.2) if mode.startswith("RGB") else profiles.grey(1.8)
        noise.convert("L" if mode == "I;16" else mode).convert(mode).save(file, form, icc_profile=profile, exif=exif)
        found[f"{mode} {form}"] = ("image", file.getvalue())
    tone = np.sin(np.arange(4000) / 9)
    for form, subtype in (
        ("WAV", "GSM610"),
        ("AU", "G721_32"),
        ("AIFF", "PCM_24"),
        ("CAF", "ALAC_16"),
        ("W64", "FLOAT"),
    ):
        file = BytesIO()
        soundfile.write(file, tone, 8000, format=form, subtype=subtype)
        found[f"{form} {subtype}"] = ("audio", file.getvalue())
    return found


def damaged(data: bytes, random: random.Random) -> bytes:
    """The bytes cut short, with some flipped, with a hole, or with another number where a length may stand."""
    broken = bytearray(data)
    place = random.randrange(len(data))
    match random.randrange(5):
        case 0:
            del broken[place + 1 :]
        case 1:
            del broken[place : place + random.randrange(1, 2000)]
        case 2:
            broken[place : place + 4] = random.choice(NUMBERS)[: len(data) - place]
        case which:
            for _ in range(random.randrange(1, 8)):
                broken[random.randrange(min(len(data), 400) if which == 3 else len(data))] = random.randrange(256)
    return bytes(broken)


def used() -> float:
    """CPU seconds of this process and of those it waited for."""
    return sum(os.times()[:4])


def test_nothing_but_media_errors(capfd: pytest.CaptureFixture[str]) -> None:
    random_ = random.Random(int(os.environ.get("MISTRALRS_FUZZ_SEED", "1")))
    bound = float(os.environ.get("MISTRALRS_FUZZ_SECONDS", CPU_SECONDS))
    media = samples()
    words = set[str]()
    outcomes = {"decoded": 0, "refused": 0}
    end = used() + bound
    while used() < end:
        for name, (kind, whole) in media.items():
            data = damaged(whole, random_)
            options = MediaOptions(max_edge=random_.choice((None, 16)), frames=2 if kind == "video" else None)
            medium = MediaBytes(
                kind if random_.random() < 0.9 else random_.choice(("image", "audio", "video")),
                name,
                data,
                options=options,
            )
            began = time.monotonic()
            try:
                if random_.random() < 0.1:
                    kind_of(data)
                    decoded_size(medium, POLICY, rate=16_000, sampling=VideoSampling())
                decode(medium, POLICY)
                outcomes["decoded"] += 1
            except MediaError as error:
                outcomes["refused"] += 1
                words.add(f"{error.message} {error.hint or 'no hint'}")
            assert time.monotonic() - began < 60
            if used() > end:
                break
    assert min(outcomes.values()) > 20
    assert not [text for text in words if "mistralrs-" in text or "no hint" in text or "Error" in text]
    assert capfd.readouterr().err == ""
