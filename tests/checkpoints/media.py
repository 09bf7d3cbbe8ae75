"""Decoded media for tests of the core, made without files."""

import numpy as np
from PIL import Image

from mistralrs_cli.media.audio import DecodedAudio
from mistralrs_cli.media.image import DecodedImage
from mistralrs_cli.media.video import DecodedVideo
from mistralrs_cli.messages import Media


def picture(seed: int = 0, width: int = 64, height: int = 48) -> Media:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Media("image", f"{seed}.png", DecodedImage(Image.fromarray(pixels), width, height, "PNG"))


def sound(seconds: float = 1.0, pitch: float = 440.0) -> Media:
    """A tone."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    return Media(
        "audio", f"{pitch}.wav", DecodedAudio((0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), 16_000)
    )


def clip(seed: int = 0, frames: int = 4, fps: float = 4.0) -> Media:
    """Frames of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
    return Media("video", f"{seed}.mp4", DecodedVideo(pixels, tuple(range(frames)), fps, frames, 64, 48))
