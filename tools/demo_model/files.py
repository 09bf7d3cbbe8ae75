"""Drawn media as the files people have: JPEG and PNG, WAV, MP3 and OGG, H.264 in MP4."""

import random
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
import soxr
from PIL import Image

from mistralrs_cli.families import Family
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.messages import MediaRef, Message, Part, Text
from mistralrs_cli.options import MediaPolicy
from tools.demo_model.clips import Clip, draw_clip
from tools.demo_model.conversations import Conversation
from tools.demo_model.media import Medium, Pool
from tools.demo_model.scenes import Scene, draw_scene, render
from tools.demo_model.sounds import RATE, draw_sound, speech_bank

ASPECTS = (1.0, 1.0, 4 / 3, 3 / 4, 16 / 9, 3 / 2, 9 / 16)

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
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(rate), "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    command += ["-crf", rng.choice(("23", "25", "28"))]
    target = path.with_suffix(".mp4")
    subprocess.run([*command, str(target)], input=b"".join(frame.tobytes() for frame in frames), check=True)
    return target


def draw_pool(folder: Path, seed: int, voices: tuple[str, ...]) -> Pool:
    """Media to ask about: contents only. A file is written when a conversation needs it."""
    rng = random.Random(seed)
    bank = speech_bank(folder / "speech.npy", voices)
    pictures = []
    for _ in range(12_000):
        aspect = rng.choice(ASPECTS)
        pictures.append(Medium("image", draw_scene(rng, aspect), aspect))
    sounds = [Medium("audio", sound, samples) for sound, samples in (draw_sound(rng, bank) for _ in range(1500))]
    clips = [Medium("video", draw_clip(rng, rng.choice(ASPECTS))) for _ in range(400)]
    return Pool(pictures, sounds, clips)


class Shelf:
    """Files of the media, each written once and read as the product reads it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.paths: dict[int, Path] = {}

    def path(self, medium: Medium) -> Path:
        key = id(medium)
        if key not in self.paths:
            name = self.folder / f"{medium.kind}-{len(self.paths)}"
            if medium.kind == "image":
                self.paths[key] = write_picture(medium.content, medium.data, self.rng, name)
            elif medium.kind == "audio":
                self.paths[key] = write_sound(medium.data, self.rng, name)
            else:
                self.paths[key] = write_clip(medium.content, self.rng, name)
        return self.paths[key]

    def messages(self, conversation: Conversation) -> list[Message]:
        """The turns before the answer; media are files not read yet."""
        messages = []
        for turn in conversation.turns[:-1]:
            media: list[Part] = [MediaRef(medium.kind, str(self.path(medium))) for medium in turn.media]
            words: list[Part] = [Text(turn.text)] if turn.text else []
            parts = words + media if turn.text_first else media + words
            messages.append(Message("assistant" if turn.role == "model" else turn.role, tuple(parts)))
        return messages


def read(part: Part, family: Family) -> Part:
    """Fetch and decode a file as for any user."""
    if not isinstance(part, MediaRef):
        return part
    policy = MediaPolicy()
    return decode(fetch(part, policy), policy, rate=family.audio_rate, sampling=family.sampling)


def decoded(messages: list[Message], family: Family) -> list[Message]:
    """The messages with all their files decoded."""
    return [Message(message.role, tuple(read(part, family) for part in message.parts)) for message in messages]
