"""Whisper on a tiny random checkpoint: what transformers makes of a window by hand, batched, cancelled, over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import torch

from mistralrs import ChatCompletionRequest, RequestError, Runner
from mistralrs_cli.cli.app import main
from mistralrs_cli.decoded import DecodedAudio
from mistralrs_cli.engine.speech import SpeechEngine
from mistralrs_cli.engine.speech.whisper import prompt_end
from mistralrs_cli.errors import OptionError, UnsupportedModel
from mistralrs_cli.events import Done, TextDelta, TimedText, collect
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import DecodedMedia, Message, Text
from mistralrs_cli.options import ModelOptions, Sampling, ServerOptions
from mistralrs_cli.speech.transcribe import SpeechOptions, transcribe, windows_of
from mistralrs_cli.speech.transcript import Transcript
from mistralrs_cli.speech.windows import Cutting
from mistralrs_cli.start import Models
from tests.server.conftest import serving
from tests.speech.recording import RATE, Samples, draw

pytestmark = pytest.mark.slow

MOST = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.checkpoints.speech.whisper import write

    ensure_importable()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("whisper")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Any]:
    options = ModelOptions(model_id=str(folder), dtype="f32", cpu=True)
    models = Models()
    with models.start(models.open(options, speech=True), options) as engine:
        yield engine


def tone(seconds: float, hertz: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


TONES = [tone(1.0 + at / 2, 200.0 * (at + 1)) for at in range(4)]


def ask(engine: SpeechEngine, audio: Samples, **task: Any) -> Any:
    messages, inputs = engine.transcription(DecodedMedia("audio", "a", DecodedAudio(audio, RATE)), **task)
    return engine.stream(messages, Sampling(max_tokens=MOST, template_kwargs=inputs))


def by_hand(engine: SpeechEngine, audio: Samples, **given: Any) -> str:
    """What transformers' own processor and model make of one window."""
    processor, model = engine.loaded.processor, engine.loaded.model
    features = processor(audio, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.inference_mode():
        ids = model.generate(
            features, return_timestamps=True, force_unique_generate_call=True, max_new_tokens=MOST, **given
        )
    text: str = processor.batch_decode(ids, skip_special_tokens=True)[0]
    return text


def test_it_is_what_transformers_makes_of_each_window(engine: SpeechEngine) -> None:
    texts = []
    for audio in TONES:
        reply = collect(ask(engine, audio, language="en"))
        assert reply.text.replace(" ", "") == by_hand(engine, audio, language="en", task="transcribe").replace(" ", "")
        texts.append(reply.text)
    assert len(set(texts)) > 2


def test_batched_equals_alone(engine: SpeechEngine) -> None:
    alone = [list(ask(engine, audio)) for audio in TONES]
    streams = [ask(engine, audio) for audio in TONES]
    assert [list(stream) for stream in streams] == alone


def test_a_recording_is_its_windows_cut_by_hand(engine: SpeechEngine) -> None:
    parts = [(1.0 + 6 * at, "", audio) for at, audio in enumerate(TONES)]
    audio, _ = draw(parts, 26)
    transcript = Transcript()
    cutting = SpeechOptions().cutting(model_times=engine.info.speech_times)
    assert cutting == Cutting(30.0, 2.0)
    windows = list(windows_of(iter([audio]), RATE, cutting, transcript))
    assert len(windows) == 4
    sampling = Sampling(max_tokens=MOST)
    found = list(transcribe(engine, iter(windows), RATE, SpeechOptions(), sampling, transcript))
    expected = []
    for window in windows:
        begin = int(window.offset * RATE)
        for event in ask(engine, audio[begin : begin + len(window.samples)]):
            if isinstance(event, TimedText):
                expected.append((event.text, event.start + window.offset, event.end + window.offset))
    assert [(part.text, part.start, part.end) for part in found] == expected
    assert transcript.times == "model"
    assert transcript.language in ("en", "de", "fr", "ja")


def test_languages_tasks_and_prompts_reach_the_model(engine: SpeechEngine) -> None:
    tasks: dict[str, dict[str, Any]] = {
        "german": {"language": "German"},
        "english": {"language": "en"},
        "translated": {"language": "de", "translate": True},
        "prompted": {"language": "de", "prompt": "Ada Lovelace"},
    }
    texts = {name: collect(ask(engine, TONES[1], **task)).text for name, task in tasks.items()}
    assert len(set(texts.values())) == 4
    german = by_hand(engine, TONES[1], language="de", task="transcribe")
    assert texts["german"].replace(" ", "") == german.replace(" ", "")
    with pytest.raises(OptionError, match="does not know the language 'xx'"):
        engine.transcription(DecodedMedia("audio", "a", DecodedAudio(TONES[0], RATE)), "xx")


def test_of_a_long_prompt_the_end_counts() -> None:
    ids = torch.arange(10)
    assert prompt_end(ids, 10).tolist() == ids.tolist()
    assert prompt_end(ids, 4).tolist() == [0, 7, 8, 9]


def test_words_have_times_within_their_segment(engine: SpeechEngine) -> None:
    events = list(ask(engine, TONES[3], language="en", words=True))
    segments = [event for event in events if isinstance(event, TimedText)]
    assert segments
    for segment in segments:
        assert segment.words
        assert all(word.start <= word.end <= segment.end for word in segment.words)
    said = "".join(word.text for segment in segments for word in segment.words)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said.replace(" ", "") == text.replace(" ", "")


def test_a_window_that_is_closed_leaves_the_others(engine: SpeechEngine) -> None:
    expected = collect(ask(engine, TONES[2])).text
    first, second, third = (ask(engine, audio) for audio in (TONES[0], TONES[2], TONES[3]))
    first.close()
    assert list(first) == []
    assert collect(second).text == expected
    assert isinstance(list(third)[-1], Done)


def test_questions_are_refused(engine: SpeechEngine, folder: Path) -> None:
    with pytest.raises(UnsupportedModel, match="writes down speech"):
        engine.stream([Message("user", (Text("Hello?"),))])
    with pytest.raises(UnsupportedModel, match="writes down speech"):
        Models().open(ModelOptions(model_id=str(folder)))
    options = ModelOptions(model_id=str(folder), quant="4")
    checkpoint = Models().open(options, speech=True)
    with pytest.raises(OptionError, match="--quant does nothing for Whisper"):
        Models().start(checkpoint, options)


def test_from_the_shell_and_over_http(
    engine: SpeechEngine, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio, _ = draw([(1.0, "", TONES[0]), (6.0, "", TONES[3])], 10)
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, RATE)
    line = ["transcribe", str(path), "-m", str(folder), "--format", "verbose_json", "--words"]
    assert main([*line, "--dtype", "f32", "--cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["times"] == "model"
    assert found["words"]
    assert found["segments"][0]["start"] >= 0.8
    backend: Any = engine
    with serving(backend, ServerOptions(port=0)) as running:
        form = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
        url = f"{running.url}/v1/audio/transcriptions"
        response = httpx.post(url, files={"file": path.read_bytes()}, data=form, timeout=60)
        assert response.json()["segments"] == found["segments"]
        assert response.json()["words"] == found["words"]
        unknown = httpx.post(
            url, files={"file": path.read_bytes()}, data={"language": "xx", "stream": "true"}, timeout=60
        )
        assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "language")
        refused = running.chat(messages=[{"role": "user", "content": "Hello?"}])
        assert (refused.status_code, "writes down speech" in refused.text) == (400, True)


def test_a_runner_transcribes_and_answers_no_questions(folder: Path, samples: Path) -> None:
    with Runner(str(folder), cpu=True) as runner:
        found = runner.transcribe(samples / "digits.wav", words=True)
        assert found.duration == pytest.approx(2.226, abs=0.001)
        assert found.words == tuple(word for part in found.segments for word in part.words)
        with pytest.raises(RequestError, match="writes down speech"):
            runner.send_chat_completion_request(ChatCompletionRequest("Hello"))
