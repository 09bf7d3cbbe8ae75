"""Decoded media for tests of the core, made without files."""

import numpy as np
from PIL import Image

from mistralrs_cli.decoded import DecodedAudio, DecodedImage, DecodedVideo
from mistralrs_cli.messages import DecodedMedia, Part


def picture(seed: int = 0, width: int = 64, height: int = 48) -> DecodedMedia:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return DecodedMedia("image", f"{seed}.png", DecodedImage(Image.fromarray(pixels), width, height, "PNG"))


def sound(seconds: float = 1.0, pitch: float = 440.0) -> DecodedMedia:
    """A tone."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    return DecodedMedia(
        "audio", f"{pitch}.wav", DecodedAudio((0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), 16_000)
    )


def clip(seed: int = 0, frames: int = 4, fps: float = 4.0) -> DecodedMedia:
    """Frames of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
    return DecodedMedia("video", f"{seed}.mp4", DecodedVideo(pixels, tuple(range(frames)), fps, frames, 64, 48))


def image_of(medium: Part) -> DecodedImage:
    """The decoded image that a part must hold."""
    assert isinstance(medium, DecodedMedia)
    assert isinstance(medium.data, DecodedImage)
    return medium.data


def audio_of(medium: Part) -> DecodedAudio:
    """The decoded audio that a part must hold."""
    assert isinstance(medium, DecodedMedia)
    assert isinstance(medium.data, DecodedAudio)
    return medium.data


def video_of(medium: Part) -> DecodedVideo:
    """The decoded video that a part must hold."""
    assert isinstance(medium, DecodedMedia)
    assert isinstance(medium.data, DecodedVideo)
    return medium.data
