"""Canary, Moonshine and Parakeet on tiny random checkpoints: what transformers makes of a window, and batched."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import torch

from mistralrs_cli.cli.app import main
from mistralrs_cli.decoded import DecodedAudio
from mistralrs_cli.engine.speech import SpeechEngine
from mistralrs_cli.engine.speech.parakeet import segments
from mistralrs_cli.errors import OptionError
from mistralrs_cli.events import Done, TextDelta, TimedText, collect
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia
from mistralrs_cli.options import ModelOptions, Sampling, ServerOptions
from mistralrs_cli.speech.transcribe import SpeechOptions, transcribe, windows_of
from mistralrs_cli.speech.transcript import Transcript
from mistralrs_cli.start import Models
from tests.server.conftest import serving
from tests.speech.recording import RATE, Samples, draw

pytestmark = pytest.mark.slow

MOST = 20
TIMED = ("parakeet_ctc", "parakeet_rnnt", "parakeet_tdt")


@pytest.fixture(scope="module", params=["canary", "moonshine", *TIMED])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.checkpoints.speech import canary, moonshine, parakeet

    ensure_importable()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "moonshine":
        moonshine.write(folder)
    elif request.param == "canary":
        canary.write(folder)
    else:
        parakeet.write(folder, request.param.removeprefix("parakeet_"))
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Any]:
    options = ModelOptions(model_id=str(folder), dtype="f32", cpu=True)
    models = Models()
    with models.start(models.open(options, speech=True), options) as engine:
        yield engine


def melody(seed: int, notes: int) -> Samples:
    """Tones of a third of a second, with some noise."""
    draws = np.random.default_rng(seed)
    times = np.arange(RATE // 3) / RATE
    tones = [np.sin(2 * np.pi * draws.uniform(150, 4000) * times) for _ in range(notes)]
    sound = 0.4 * np.concatenate(tones)
    return (sound + 0.02 * draws.standard_normal(len(sound))).astype(np.float32)


SOUNDS = [melody(seed, notes) for seed, notes in enumerate((3, 7, 4, 5))]


def ask(engine: SpeechEngine, audio: Samples, most: int | None = MOST, **task: Any) -> Any:
    messages, inputs = engine.transcription(DecodedMedia("audio", "a", DecodedAudio(audio, RATE)), **task)
    return engine.stream(messages, Sampling(max_tokens=most, template_kwargs=inputs))


def kind(engine: SpeechEngine) -> str:
    return str(engine.loaded.model.config.model_type)


def by_hand(engine: SpeechEngine, audio: Samples) -> tuple[str, list[float]]:
    """What transformers' own processor and model make of one window: the text, and when its tokens begin."""
    processor, model = engine.loaded.processor, engine.loaded.model
    if kind(engine) == "canary":
        return canary_by_hand(engine, audio, source_language="en"), []
    inputs = processor(audio, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        if kind(engine) == "moonshine":
            ids = model.generate(**inputs, max_new_tokens=MOST)
            return processor.batch_decode(ids, skip_special_tokens=True)[0].strip(), []
        if kind(engine) == "parakeet_ctc":
            ids = model.generate(**inputs)
            blank = model.config.pad_token_id
            row = ids[0].tolist()
            starts = [0.08 * at for at, one in enumerate(row) if one != blank and (at == 0 or row[at - 1] != one)]
            return processor.batch_decode(ids, skip_special_tokens=True)[0].strip(), starts
        found = model.generate(**inputs, max_length=1000, return_dict_in_generate=True)
        texts, stamps = processor.decode(found.sequences, durations=found.durations, skip_special_tokens=True)
        return texts[0].strip(), [stamp["start"] for stamp in stamps[0]]


def canary_by_hand(engine: SpeechEngine, audio: Samples, **languages: str) -> str:
    """What transformers' own processor and model write in the languages that are named."""
    processor, model = engine.loaded.processor, engine.loaded.model
    inputs = processor.apply_transcription_request(audio, sampling_rate=RATE, **languages)
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=MOST)
    return str(processor.tokenizer.decode(ids[0, inputs["decoder_input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("folder", ["canary"], indirect=True)
def test_canary_is_told_what_is_spoken(engine: SpeechEngine) -> None:
    (audio, other, *_) = SOUNDS
    german = canary_by_hand(engine, audio, source_language="de")
    assert collect(ask(engine, audio, language="German")).text == german.strip()
    english = canary_by_hand(engine, other, source_language="de", target_language="en")
    assert collect(ask(engine, other, language="de-AT", translate=True)).text == english.strip()
    assert collect(ask(engine, other)).text != english.strip()
    with pytest.raises(OptionError, match="does not know the language 'tlh'"):
        ask(engine, audio, language="tlh")
    with pytest.raises(OptionError, match="takes no prompt"):
        ask(engine, audio, prompt="Ada")
    with pytest.raises(OptionError, match="must know the language that it translates from"):
        ask(engine, audio, translate=True)


def test_it_is_what_transformers_makes_of_each_window(engine: SpeechEngine) -> None:
    texts = []
    timed = False
    for audio in SOUNDS:
        events = list(ask(engine, audio, None if kind(engine) in TIMED else MOST))
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        expected, starts = by_hand(engine, audio)
        assert text == expected
        texts.append(text)
        words = [word for event in events if isinstance(event, TimedText) for word in event.words]
        timed = timed or bool(words)
        if words:
            assert " ".join(word.text for word in words) == expected
            assert {round(word.start, 4) for word in words} <= {round(start, 4) for start in starts}
            assert all(word.start <= word.end <= len(audio) / RATE for word in words)
    assert len(set(texts)) > 2
    assert timed == engine.info.speech_times


def test_batched_equals_alone(engine: SpeechEngine) -> None:
    alone = [list(ask(engine, audio)) for audio in SOUNDS]
    streams = [ask(engine, audio) for audio in SOUNDS]
    assert [list(stream) for stream in streams] == alone


def test_a_recording_is_its_windows_cut_by_hand(engine: SpeechEngine) -> None:
    audio, _ = draw([(1.0 + 6 * at, "", sound) for at, sound in enumerate(SOUNDS)], 26)
    transcript = Transcript()
    cutting = SpeechOptions(pause=2.0).cutting(model_times=engine.info.speech_times)
    windows = list(windows_of(iter([audio]), RATE, cutting, transcript))
    assert len(windows) == 4
    found = list(transcribe(engine, iter(windows), RATE, SpeechOptions(), Sampling(max_tokens=MOST), transcript))
    expected = []
    for window in windows:
        begin = int(window.offset * RATE)
        events = list(ask(engine, audio[begin : begin + len(window.samples)]))
        timed = [event for event in events if isinstance(event, TimedText)]
        if timed:
            expected += [(part.text, part.start + window.offset, part.end + window.offset) for part in timed]
        else:
            expected.append((collect(iter(events)).text, window.start, window.end))
    assert [(part.text, part.start, part.end) for part in found] == expected
    assert transcript.times == ("model" if engine.info.speech_times else "window")


def test_a_window_that_is_closed_leaves_the_others(engine: SpeechEngine) -> None:
    expected = collect(ask(engine, SOUNDS[2])).text
    first, second, third = (ask(engine, audio) for audio in (SOUNDS[0], SOUNDS[2], SOUNDS[3]))
    first.close()
    assert list(first) == []
    assert collect(second).text == expected
    assert isinstance(list(third)[-1], Done)


def test_the_shortest_window_is_transcribed(engine: SpeechEngine) -> None:
    assert isinstance(list(ask(engine, SOUNDS[0][:50]))[-1], Done)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"language": "en"}, "takes no language"),
        ({"translate": True}, "does not translate"),
        ({"prompt": "Ada"}, "takes no prompt"),
    ],
)
@pytest.mark.parametrize("folder", ["moonshine", "parakeet_ctc"], indirect=True)
def test_what_it_cannot_do_is_refused(engine: SpeechEngine, task: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ask(engine, SOUNDS[0], **task)


def test_a_temperature_is_followed_or_refused(engine: SpeechEngine) -> None:
    messages, inputs = engine.transcription(DecodedMedia("audio", "a", DecodedAudio(SOUNDS[0], RATE)))
    sampling = Sampling(max_tokens=MOST, temperature=2.0, seed=1, template_kwargs=inputs)
    if engine.info.speech_times:
        with pytest.raises(OptionError, match="a temperature does nothing"):
            engine.stream(messages, sampling)
    else:
        drawn = [engine.generate(messages, sampling).text for _ in range(2)]
        assert drawn[0] == drawn[1] != collect(ask(engine, SOUNDS[0])).text


def test_segments_end_with_sentences_at_pauses_and_when_long() -> None:
    def word(text: str, start: float, end: float) -> TimedText:
        return TimedText(text, start, end)

    words = [word("One.", 0, 1), word("two", 1, 2), word("three", 3, 4), word("four", 4, 9), word("five", 9, 11)]
    assert [[each.text for each in part] for part in segments(words)] == [
        ["One."],
        ["two"],
        ["three", "four"],
        ["five"],
    ]


@pytest.mark.parametrize("folder", ["parakeet_tdt"], indirect=True)
def test_from_the_shell_and_over_http(
    engine: SpeechEngine, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio, _ = draw([(1.0, "", SOUNDS[0]), (6.0, "", SOUNDS[1])], 10)
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, RATE)
    line = ["transcribe", str(path), "-m", str(folder), "--dtype", "f32", "--cpu"]
    assert main([*line, "--format", "verbose_json", "--words"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["times"], bool(found["words"])) == ("model", True)
    assert main([*line, "--language", "de"]) == 2
    assert "takes no language" in capsys.readouterr().err
    backend: Any = engine
    with serving(backend, ServerOptions(port=0)) as running:
        url = f"{running.url}/v1/audio/transcriptions"
        form = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
        response = httpx.post(url, files={"file": path.read_bytes()}, data=form, timeout=60)
        assert response.json()["words"] == found["words"]
        assert response.json()["segments"] == found["segments"]
        subtitles = httpx.post(url, files={"file": path.read_bytes()}, data={"response_format": "srt"}, timeout=60)
        assert subtitles.text.startswith("1\n00:00:0")
        refused = httpx.post(
            url.replace("transcriptions", "translations"), files={"file": path.read_bytes()}, timeout=60
        )
        assert (refused.status_code, "does not translate" in refused.text) == (400, True)


def test_inspect_says_what_would_be_transcribed(
    folder: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of clips their audio track; no weights are read, and no question is counted."""
    (folder / "model.safetensors").rename(folder / "elsewhere")
    try:
        line = ["inspect", str(samples / "digits.wav"), "-m", str(folder)]
        assert main([*line, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["media"]
        assert (found["seconds"], found["windows"]) == (pytest.approx(2.226), 1)
        assert 1.5 < found["speech_seconds"] < 2.226
        assert main(line) == 0
        assert f"digits.wav  2.2 s, {found['speech_seconds']:.1f} s of speech in 1 window" in capsys.readouterr().out
        assert main([*line, "-i", "What?"]) == 3
        assert "answers no questions" in capsys.readouterr().err
        assert main(["inspect", str(samples / "photo.jpg"), "-m", str(folder)]) == 4
    finally:
        (folder / "elsewhere").rename(folder / "model.safetensors")
