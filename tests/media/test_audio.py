"""Sounds: the right samples at the right rate, and what is no sound."""

import contextlib
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mistralrs_cli.decoded import DecodedAudio
from mistralrs_cli.errors import MediaDecodeError, MediaTooLarge
from mistralrs_cli.media import decode_audio, ffmpeg
from mistralrs_cli.options import MediaPolicy

from .conftest import POLICY, convert, pitch, tone

pytestmark = pytest.mark.slow


def saved(samples: NDArray[np.generic], rate: int = 44_100, form: str = "WAV", subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def read(data: bytes, rate: int = 16_000, policy: MediaPolicy = POLICY, name: str = "x.wav") -> DecodedAudio:
    sound = decode_audio(data, name, rate, policy)
    assert sound.samples.dtype == np.float32
    assert sound.samples.ndim == 1
    assert np.abs(sound.samples).max(initial=0) <= 1
    return sound


def is_the_tone(sound: DecodedAudio, slack: float = 0.02) -> bool:
    middle = sound.samples[len(sound.samples) // 4 : len(sound.samples) * 3 // 4]
    loud = float(np.sqrt((middle**2).mean())) * 2**0.5
    return abs(pitch(sound.samples, sound.rate) - 440) < 2 and abs(loud - 0.5) < slack


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
        ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"),
    ],
)  # fmt: skip
def test_formats(form: str, subtype: str) -> None:
    sound = read(saved(tone(), form=form, subtype=subtype))
    assert is_the_tone(sound)
    assert sound.seconds == pytest.approx(1, abs=0.08 if form == "MP3" else 0.02)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.m4a", "aac"), ("x.mp4", "aac"), ("x.opus", "libopus"), ("x.webm", "libopus"), ("x.wma", "wmav2"), ("x.aac",
    "aac"),
     ("x.ac3", "ac3"), ("x.mka", "flac")],
)  # fmt: skip
def test_everything_else_through_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    wav, path = tmp_path / "tone.wav", tmp_path / name
    wav.write_bytes(saved(np.stack([tone()] * 2, axis=1)))
    convert("-i", str(wav), "-c:a", codec, "-b:a", "128k", str(path))
    sound = read(path.read_bytes(), name=name)
    assert is_the_tone(sound, 0.05)
    assert sound.seconds == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_rates(rate: int) -> None:
    for wanted in (16_000, 24_000):
        sound = read(saved(tone(rate=rate), rate), wanted)
        assert sound.rate == wanted
        assert len(sound.samples) == pytest.approx(wanted, abs=2)
        assert is_the_tone(sound)


def test_high_pitch_does_not_fold_back() -> None:
    assert np.abs(read(saved(tone(hertz=12_000)), 16_000).samples[2000:-2000]).max() < 0.01


def test_channels_are_averaged() -> None:
    levels = np.arange(8) / 10  # 0, 0.1 … 0.7
    samples = np.tile(levels, (1600, 1))
    for subtype in ("DOUBLE", "FLOAT", "PCM_24"):
        sound = read(saved(samples, 16_000, subtype=subtype))
        assert sound.samples == pytest.approx(np.full(1600, 0.35), abs=1e-4)


def test_opposite_channels_cancel_and_the_same_rate_is_exact() -> None:
    left = np.linspace(-1, 0.99, 1000)
    assert np.abs(read(saved(np.stack([left, -left], 1), 16_000, subtype="DOUBLE")).samples).max() < 1e-7
    assert read(saved(left, 16_000, subtype="DOUBLE")).samples == pytest.approx(left, abs=1e-7)


def test_sound_track_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    convert(
        *("-f", "lavfi", "-i", "color=red:s=64x64:d=1", "-f", "lavfi", "-i", "aevalsrc=0.5*sin(880*PI*t):d=1"),
        *("-pix_fmt", "yuv420p", str(path)),
    )
    assert is_the_tone(read(path.read_bytes()), 0.05)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_streamed_wav_of_unknown_length(length: int) -> None:
    data = bytearray(saved(tone()))
    place = data.index(b"data") + 4
    data[place : place + 4] = length.to_bytes(4, "little")
    data[4:8] = length.to_bytes(4, "little")
    sound = read(bytes(data))
    assert is_the_tone(sound)
    assert sound.seconds == pytest.approx(1, abs=0.01)


def test_mp3_with_tags_and_cover(tmp_path: Path) -> None:
    wav, cover, path = tmp_path / "x.wav", tmp_path / "cover.png", tmp_path / "x.mp3"
    wav.write_bytes(saved(tone()))
    convert("-f", "lavfi", "-i", "color=red:s=300x300", "-frames:v", "1", str(cover))
    convert("-i", str(wav), "-i", str(cover), "-map", "0", "-map", "1", "-metadata", "title=Tone", str(path))
    assert path.read_bytes().startswith(b"ID3")
    assert is_the_tone(read(path.read_bytes()), 0.05)


def test_floats_beyond_one() -> None:
    loud = read(saved(tone() * 2.4, subtype="FLOAT"))
    assert loud.samples.max() == 1  # a little over: clipped, as a player does
    scaled = read(saved(tone() * 60_000, subtype="FLOAT"))
    assert abs(pitch(scaled.samples, 16_000) - 440) < 2
    assert 0.9 < float(np.sqrt((scaled.samples**2).mean())) * 2**0.5 < 1.1  # another scale: brought to -1..1


def header(riff: bytes = b"RIFF", form: bytes = b"fmt ", channels: int = 1, bits: int = 16) -> bytes:
    block = channels * bits // 8
    facts = (1).to_bytes(2, "little") + channels.to_bytes(2, "little") + (16_000).to_bytes(4, "little")
    facts += (16_000 * block).to_bytes(4, "little") + block.to_bytes(2, "little") + bits.to_bytes(2, "little")
    body = b"WAVE" + form + len(facts).to_bytes(4, "little") + facts
    return riff + (len(body) + 8).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"x.wav is empty \(0 bytes\)"),
        (header() + b"data\0\0\0\0", r"x.wav has no audio in it \(0 samples\)"),
        (header(channels=0) + b"data\x10\0\0\0" + bytes(16), "x.wav begins like WAV but is damaged"),
        (header(form=b"oops") + b"data\x10\0\0\0" + bytes(16), "x.wav begins like WAV but is damaged"),
        (b"RIFF\xff\xff\xff\xffWAVE", "x.wav begins like WAV but is damaged"),
        (b"RIFF\x24\0\0\0WAVE" + bytes(range(200)), "x.wav begins like WAV but is damaged"),
        (b"fLaC" + bytes(100), "x.wav begins like FLAC but is damaged"),
        (b"OggS" + bytes(100), "x.wav begins like OGG but is damaged"),
        (b"ID3\x04" + bytes(100), "x.wav begins like MP3 but is damaged"),
        (b"words, and nothing else", "x.wav is a text file, not audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), r"x.wav is an image \(PNG\), not audio"),
        (bytes(range(128, 256)) * 4, "x.wav cannot be read as audio: "),
    ],
)
def test_not_a_sound(data: bytes, says: str) -> None:
    with pytest.raises(MediaDecodeError, match=says) as caught:
        read(data)
    assert caught.value.hint
    assert "mistralrs-" not in caught.value.message


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"])
def test_damage_is_quiet_and_never_a_crash(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = saved(tone(0.2), form=form)
    random = np.random.default_rng(1)
    for _ in range(15):
        data = bytearray(whole)
        for place in random.integers(0, 200, 3):
            data[place] = random.integers(256)
        with contextlib.suppress(MediaDecodeError, MediaTooLarge):
            read(bytes(data))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number(bad: float) -> None:
    samples = tone()
    samples[500] = bad
    samples = np.stack([samples, -samples], axis=1)
    with pytest.raises(MediaDecodeError, match="not numbers"):
        read(saved(samples, subtype="FLOAT"))


def test_silent_video_has_no_sound(painted: Path) -> None:
    with pytest.raises(MediaDecodeError, match=r"clip.mp4 has no audio in it"):
        read(painted.read_bytes(), name="clip.mp4")


def test_what_libsndfile_refuses_is_tried_with_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(tone())

    def refuse(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(1)

    monkeypatch.setattr(soundfile, "SoundFile", refuse)
    assert is_the_tone(read(data))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "GSM610"), ("WAV", "NMS_ADPCM_32"), ("WAV", "G721_32"), ("AU", "G721_32"), ("AU", "G723_24"),
     ("AIFF", "GSM610"), ("W64", "GSM610"), ("VOC", "ULAW"), ("CAF", "ALAC_16"), ("WAV", "MS_ADPCM")],
)  # fmt: skip
def test_codecs_of_telephones(form: str, subtype: str) -> None:
    sound = read(saved(tone(rate=8_000), 8_000, form, subtype))
    assert abs(pitch(sound.samples, sound.rate) - 440) < 3
    assert sound.seconds == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("rate", [1_000, 7_999, 11_127, 176_400, 384_000, 768_000])
def test_unusual_rates(rate: int) -> None:
    sound = read(saved(tone(rate=rate), rate))
    assert abs(pitch(sound.samples, sound.rate) - 440) < 2
    assert sound.seconds == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("rate", [1, 999, 4_000_000, 2**31 - 1])
@pytest.mark.parametrize("seconds", [0.1, 200_000])
def test_rates_that_no_recording_has(rate: int, seconds: float) -> None:
    data = bytearray(saved(tone(0.1)))
    data[24:28] = rate.to_bytes(4, "little")
    before = time.process_time()
    with pytest.raises(MediaDecodeError, match=f"x.wav claims {rate:,} samples a second"):
        read(bytes(data))
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("channels", "form"), [(4, "WAV"), (6, "WAV"), (6, "FLAC"), (8, "FLAC"), (64, "WAV"), (1000, "WAV")]
)
def test_odd_layouts(channels: int, form: str) -> None:
    sound = read(saved(np.stack([tone(0.5, 16_000)] * channels, axis=1), 16_000, form, "PCM_24"))
    assert is_the_tone(sound)


def test_a_damaged_mp3_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(saved(tone(2), form="MP3"))
    del data[5_000:5_100]
    data[9_000:9_050] = bytes(50)
    assert is_the_tone(read(bytes(data[:15_000])), 0.1)
    assert capfd.readouterr().err == ""


def test_too_long(tmp_path: Path) -> None:
    policy = MediaPolicy(seconds=0.5)
    with pytest.raises(MediaTooLarge, match=r"x.wav lasts longer than the limit of 0.5 s"):
        read(saved(tone()), policy=policy)
    wav, path = tmp_path / "x.wav", tmp_path / "x.m4a"
    wav.write_bytes(saved(tone(3)))
    convert("-i", str(wav), str(path))
    with pytest.raises(MediaTooLarge, match=r"x.m4a lasts longer"):
        read(path.read_bytes(), policy=policy, name="x.m4a")


def test_ffmpeg_is_not_needed_for_the_common_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "executable", lambda: "/nowhere")
    for form in ("WAV", "FLAC", "OGG", "MP3"):
        assert is_the_tone(read(saved(tone(), form=form)))
