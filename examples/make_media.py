"""Draw the sample media in ``examples/media``: ``python -m examples.make_media``.

Pictures, sounds and clips are what the bundled demo model knows: flat shapes in named colours, beeps, spoken digits.
The same input gives the same bytes on one machine; other versions of the encoders may differ in a few.
"""

import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from PIL import Image

from tools.demo_model.clips import Clip
from tools.demo_model.scenes import Bar, Figure, Scene, render
from tools.demo_model.sounds import RATE, speak

FOLDER = Path(__file__).parent / "media"
WHITE, RED, GREEN, BLUE, YELLOW = (255, 255, 255), (220, 20, 30), (40, 170, 60), (30, 60, 220), (250, 220, 20)
FPS, SECONDS, WIDTH, HEIGHT = 25, 2, 320, 240

PICTURES = {
    "red_circle.png": Scene("single", WHITE, (Figure("circle", "red", RED, 0.5, 0.5, 0.3),)),
    "before.png": Scene("single", WHITE, (Figure("square", "green", GREEN, 0.5, 0.5, 0.25),)),
    "after.png": Scene("single", WHITE, (Figure("square", "blue", BLUE, 0.5, 0.5, 0.25),)),
    "shapes.png": Scene(
        "pair",
        WHITE,
        (Figure("triangle", "blue", BLUE, 0.27, 0.5, 0.2), Figure("star", "yellow", YELLOW, 0.73, 0.5, 0.2)),
    ),
    "photo.jpg": Scene(
        "count",
        WHITE,
        tuple(Figure("star", "blue", BLUE, x, y, 0.15) for x, y in ((0.22, 0.3), (0.72, 0.28), (0.5, 0.74))),
    ),
    "sign.png": Scene(
        "text",
        WHITE,
        (Figure("text", "red", RED, 0.5, 0.5, 0.8),),
        text="stop",
        letters="STOP",
        font="DejaVuSans-Bold.ttf",
    ),
    "chart.png": Scene(
        "chart",
        WHITE,
        bars=tuple(Bar(0.1 + 0.22 * i, 0.74 - 0.2 * i, 0.26 + 0.22 * i, 0.93) for i in range(4)),
        color="green",
        rgb=GREEN,
        trend="rising",
        axes=True,
    ),
}
CLIP = Clip(
    motion="right",
    figure=Figure("square", "green", GREEN, 0.5, 0.5, 0.18),
    paper=WHITE,
    color2="blue",
    rgb2=BLUE,
    aspect=WIDTH / HEIGHT,
    start=0.05,
    end=0.95,
    cut=0.5,
    small=0.1,
    large=0.4,
)
SOUND_CODECS = {
    "mp3": ("libmp3lame", "-b:a", "64k", "-ar", "44100", "-ac", "2"),
    "flac": ("flac",),
    "ogg": ("libvorbis", "-q:a", "3"),
    "m4a": ("aac", "-b:a", "64k"),
}
VIDEO_CODECS = {
    "mp4": ("libx264", "-crf", "26"),
    "mov": ("libx264", "-crf", "26"),
    "mkv": ("libx264", "-crf", "26"),
    "webm": ("libvpx", "-crf", "20", "-b:v", "400k"),
    "avi": ("mpeg4", "-q:v", "5"),
}


def tone(hertz: np.ndarray) -> np.ndarray:
    """A sine with the given frequency at every sample, faded in and out."""
    samples = 0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
    fade = np.minimum(1, np.minimum(np.arange(len(hertz)), np.arange(len(hertz))[::-1]) / (0.008 * RATE))
    return samples * fade


def pause(seconds: float) -> np.ndarray:
    """Silence."""
    return np.zeros(int(RATE * seconds))


def beeps(count: int, hertz: float) -> np.ndarray:
    """Short tones with pauses around them."""
    beep = tone(np.full(int(RATE * 0.18), hertz))
    return np.concatenate([pause(0.2), *(part for _ in range(count) for part in (beep, pause(0.25)))])


def words(*spoken: str) -> np.ndarray:
    """Words said one after another."""
    takes = [part for word in spoken for part in (0.6 * speak(word, "en-us", 140, 45), pause(0.2))]
    return np.concatenate([pause(0.2), *takes])


def convert(source: Path, suffix: str, *codec: str) -> None:
    """The same sound in another format."""
    ffmpeg("-i", str(source), "-c:a", *codec, str(source.with_suffix(f".{suffix}")))


def encode(frames: list[Image.Image], path: Path, *codec: str) -> None:
    """Frames as a clip."""
    raw = b"".join(frame.tobytes() for frame in frames)
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-")
    ffmpeg(*source, "-c:v", *codec, "-pix_fmt", "yuv420p", "-threads", "1", str(path), data=raw)


def ffmpeg(*arguments: str, data: bytes | None = None) -> None:
    """Run the ffmpeg that comes with imageio-ffmpeg, leaving dates and versions out of the file."""
    *inputs, output = arguments
    exact = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *inputs, *exact, output]
    subprocess.run(command, input=data, check=True)


def main() -> None:
    """Write every file. Speech needs espeak-ng and print a font: without them those files stay as they are."""
    FOLDER.mkdir(exist_ok=True)
    for name, scene in PICTURES.items():
        try:
            picture = render(scene, 480, 360, oversample=3)
        except OSError:  # Pillow's way to say that there is no such font
            continue
        picture.save(FOLDER / name, quality=85, optimize=True)
    sounds = {"beeps.wav": beeps(3, 1500.0), "rising.wav": tone(np.geomspace(300, 2000, int(RATE * 1.5)))}
    if shutil.which("espeak-ng"):
        sounds["digits.wav"] = words("three", "seven", "one")
        sounds["commentary.wav"] = words("rising")
    for name, samples in sounds.items():
        soundfile.write(FOLDER / name, samples, RATE, subtype="PCM_16")
    for suffix, codec in SOUND_CODECS.items():
        convert(FOLDER / "beeps.wav", suffix, *codec)
    last = FPS * SECONDS - 1
    frames = [render(CLIP.at(index / last), WIDTH, HEIGHT, oversample=2) for index in range(last + 1)]
    for suffix, codec in VIDEO_CODECS.items():
        encode(frames, FOLDER / f"clip.{suffix}", *codec)
    flat = [frame.quantize(16, dither=Image.Dither.NONE) for frame in frames]
    flat[0].save(FOLDER / "clip.gif", save_all=True, append_images=flat[1:], duration=1000 // FPS, loop=0)


if __name__ == "__main__":
    main()
