"""Drawn media as the files people have: JPEG and PNG, WAV, MP3 and OGG, H.264 in MP4."""

import random
import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image

from tools.demo_model.clips import Clip
from tools.demo_model.scenes import Scene, render
from tools.demo_model.sounds import RATE

RATE_OF_FILES = 44_100


def write_picture(scene: Scene, aspect: float, rng: random.Random, path: Path) -> Path:
    """A JPEG of quality 60 to 92, or a PNG (half of them with a transparent background), 64 to 2000 pixels wide."""
    longest = rng.choice((64, 96, 128, 200, 320, 480, 640, 800, 1024, 1280, 1600, 2000))
    longest = max(longest, round(64 * max(aspect, 1 / aspect)))
    width, height = (longest, round(longest / aspect)) if aspect >= 1 else (round(longest * aspect), longest)
    image = render(scene, width, height, 2 if longest < 700 else 1)
    form = rng.choice(("jpeg", "jpeg", "png", "alpha"))
    if form == "jpeg":
        image.save(path.with_suffix(".jpg"), quality=rng.choice((60, 60, 75, 92)))
        return path.with_suffix(".jpg")
    if form == "alpha":
        image = transparent(image, scene)
    image.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def transparent(image: Image.Image, scene: Scene) -> Image.Image:
    """White paper becomes transparent, as pictures cut out for a page have it; other papers stay opaque."""
    pixels = np.asarray(image.convert("RGBA")).copy()
    if scene.paper == (255, 255, 255):
        pixels[(pixels[..., :3] == 255).all(-1)] = (255, 255, 255, 0)
    return Image.fromarray(pixels)


def write_sound(samples: np.ndarray, rng: random.Random, path: Path) -> Path:
    """A stereo file of 44.1 kHz: WAV, MP3 or OGG; or a plain WAV of 16 kHz."""
    form = rng.choice((".mp3", ".ogg", ".wav", "plain"))
    if form == "plain":
        soundfile.write(path.with_suffix(".wav"), samples, RATE)
        return path.with_suffix(".wav")
    resampled = soxr.resample(samples, RATE, RATE_OF_FILES)
    balance = rng.uniform(0.8, 1.0)
    stereo = np.stack((resampled, resampled * balance), 1)
    soundfile.write(path.with_suffix(form), np.clip(stereo, -1, 1), RATE_OF_FILES)
    return path.with_suffix(form)


def write_clip(clip: Clip, rng: random.Random, path: Path) -> Path:
    """H.264 with a CRF of 23 to 28, 1 to 5 seconds, 8 to 30 frames a second, 160 to 640 pixels wide."""
    rate, seconds = rng.choice((8, 10, 15, 24, 25, 30)), rng.uniform(1, 5)
    count = max(8, round(rate * seconds))
    width = rng.choice((160, 240, 320, 480, 640)) // 2 * 2
    height = round(width / clip.aspect) // 2 * 2
    frames = [render(clip.at(i / (count - 1)), width, height) for i in range(count)]
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", str(rate), "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    command += ["-crf", rng.choice(("23", "25", "28"))]
    target = path.with_suffix(".mp4")
    subprocess.run([*command, str(target)], input=b"".join(frame.tobytes() for frame in frames), check=True)
    return target
