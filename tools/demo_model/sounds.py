"""Audio: beeps, tones, sweeps, noise, silence and spoken words."""

import io
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tools.demo_model.scenes import COLORS, NUMBERS, SHAPES

RATE = 16_000
COMMANDS = ("yes", "no", "hello", "stop", "go", "up", "down", "left", "right", "rising", "falling")
WORDS = (*NUMBERS, *COLORS, *SHAPES, *COMMANDS)
MOST_BEEPS = 5

VOICES = (
    *("en-us", "en-gb", "en-us+f2", "en-us+f4", "en-us+m3", "en-us+m7", "en-gb+f3"),
    *("en-gb+m1", "en-gb-scotland", "en-gb-x-rp+f1", "en-us+m2", "en-029+m4"),
)
HELD_OUT_VOICES = ("en-gb-x-rp", "en-us+m4", "en-us+f3", "en-gb+m5")

Bank = dict[str, list[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Sound:
    """What is in a sound: ``pitch`` is low or high, ``trend`` rising or falling, ``words`` what is said."""

    kind: str
    count: int = 0
    pitch: str = ""
    trend: str = ""
    words: tuple[str, ...] = ()


def speak(word: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """A word said by espeak-ng, without silence around it, float32 at 16 kHz. ``speed`` in words a minute."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", word]
    wave = subprocess.run(command, capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
    samples = soxr.resample(samples, rate, RATE)
    loud = np.nonzero(np.abs(samples) > 0.01)[0]
    spoken: np.ndarray = samples[loud[0] : loud[-1]]
    loudest = float(np.abs(spoken).max())
    return np.asarray(spoken / loudest, np.float32)


def speech_bank(path: Path, voices: tuple[str, ...] = VOICES) -> Bank:
    """Every word in every voice at three speeds and two pitches, in the same order for each word; kept in ``path``."""
    if path.exists():
        return {word: list(takes) for word, takes in np.load(path, allow_pickle=True).item().items()}
    takes = [(voice, speed, pitch) for voice in voices for speed in (125, 155, 185) for pitch in (38, 62)]
    with ThreadPoolExecutor(3) as pool:
        bank = {word: list(pool.map(lambda take, word=word: speak(word, *take), takes)) for word in WORDS}
    np.save(path, bank, allow_pickle=True)  # type: ignore[arg-type]
    return bank


def _fade(samples: np.ndarray, seconds: float = 0.008) -> np.ndarray:
    count = min(int(RATE * seconds), len(samples) // 2)
    ramp = np.linspace(0, 1, count, dtype=np.float32)
    samples[:count] *= ramp
    samples[-count:] *= ramp[::-1]
    return samples


def _tone(frequencies: np.ndarray, rng: random.Random) -> np.ndarray:
    """A sine of the given frequency in Hz at every sample, now and then with its octave."""
    phase = 2 * np.pi * np.cumsum(frequencies) / RATE
    samples = np.sin(phase)
    if rng.random() < 0.25:
        samples = samples + 0.3 * np.sin(2 * phase) * (frequencies < 3500)
    return _fade((samples / np.abs(samples).max()).astype(np.float32))


def _pause(seconds: float) -> np.ndarray:
    return np.zeros(int(RATE * seconds), np.float32)


def choose_words(rng: random.Random) -> tuple[str, ...]:
    """One to four words: digits, a colour, a colour and a shape, a command, or any mixture."""
    form = rng.choices(("digits", "color", "object", "counted", "command", "any"), (3, 1, 2.5, 1, 1.5, 2))[0]
    color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
    if form == "digits":
        return tuple(rng.choice(NUMBERS) for _ in range(rng.randint(1, 4)))
    if form == "any":
        return tuple(rng.choice(WORDS) for _ in range(rng.randint(2, 4)))
    forms = {"color": (color,), "object": (color, shape), "counted": (rng.choice(NUMBERS[1:6]), color, shape)}
    return forms.get(form, (rng.choice(COMMANDS),))


MIX = {"beeps": 3.5, "sweep": 2.0, "noise": 0.9, "silence": 0.7, "tone": 1.5, "speech": 8.0}


def draw_sound(rng: random.Random, bank: Bank, kind: str | None = None) -> tuple[Sound, np.ndarray]:
    """A random sound: what is in it, and its samples (float32, 16 kHz, mono, -1 to 1)."""
    kind = kind or rng.choices(list(MIX), list(MIX.values()))[0]
    noise = np.random.default_rng(rng.randrange(2**31))
    parts = [_pause(rng.uniform(0.02, 0.5))]
    pitch = rng.choice(("low", "high"))
    hertz = rng.uniform(180, 480) if pitch == "low" else rng.uniform(950, 2600)
    volume = rng.uniform(0.12, 0.85)
    sound = Sound(kind)
    if kind == "beeps":
        sound = Sound(kind, count=rng.randint(1, MOST_BEEPS), pitch=pitch)
        length, pause = rng.uniform(0.09, 0.28), rng.uniform(0.1, 0.4)
        for _ in range(sound.count):
            parts.append(volume * _tone(np.full(int(RATE * length), hertz), rng))
            parts.append(_pause(pause))
    elif kind == "tone":
        sound = Sound(kind, pitch=pitch)
        parts.append(volume * _tone(np.full(int(RATE * rng.uniform(0.8, 2.5)), hertz), rng))
    elif kind == "sweep":
        sound = Sound(kind, trend=rng.choice(("rising", "falling")))
        low, high, length = rng.uniform(180, 600), rng.uniform(1200, 3500), int(RATE * rng.uniform(0.6, 2.2))
        curve = np.geomspace(low, high, length) if rng.random() < 0.6 else np.linspace(low, high, length)
        parts.append(volume * _tone(curve if sound.trend == "rising" else curve[::-1].copy(), rng))
    elif kind == "noise":
        hiss = noise.uniform(-1, 1, int(RATE * rng.uniform(0.6, 2.5)))
        if rng.random() < 0.4:
            hiss = np.convolve(hiss, np.ones(rng.randint(2, 6)) / 3, "same")
        parts.append(_fade(volume * 0.7 * hiss.astype(np.float32)))
    elif kind == "silence":
        parts.append(_pause(rng.uniform(0.6, 2.5)))
    else:
        sound = Sound(kind, words=choose_words(rng))
        take, pauses = rng.randrange(10**6), rng.uniform(0.03, 0.4)
        for word in sound.words:
            samples = bank[word][(take + rng.choice((0, 0, 0, 1))) % len(bank[word])]
            parts.append(max(volume, 0.25) * samples)
            parts.append(_pause(pauses * rng.uniform(0.7, 1.3)))
    parts.append(_pause(rng.uniform(0.05, 0.6)))
    samples = np.concatenate([part.astype(np.float32) for part in parts])
    if len(samples) < RATE // 2:
        samples = np.pad(samples, (0, RATE // 2 - len(samples)))
    if rng.random() < 0.5:
        samples = samples + noise.normal(0, rng.choice((0.0003, 0.001, 0.003)), len(samples))
    return sound, np.clip(samples, -1, 1).astype(np.float32)
