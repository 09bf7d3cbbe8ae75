"""A runner answers about media given in every form, alone and from many threads, and as the server does."""

import asyncio
import base64
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from mistralrs import AsyncRunner, ChatCompletionRequest, CompletionRequest, RequestError, Runner, Which
from tests.server.conftest import Running

pytestmark = pytest.mark.slow

QUESTION = "What is in this picture?"


def ask(runner: Any, content: Any, **more: Any) -> str:
    """What the runner says, greedily."""
    request = ChatCompletionRequest([{"role": "user", "content": content}], temperature=0, max_tokens=40, **more)
    return str(runner.send_chat_completion_request(request).text)


def opened(path: Path) -> Image.Image:
    """A picture in memory, its file closed."""
    with Image.open(path) as image:
        return image.convert("RGB")


def parts_for(circle: Path) -> dict[str, Any]:
    """One picture in every form a part may have."""
    data = circle.read_bytes()
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {
        "file url": {"type": "image_url", "image_url": {"url": f"file://{circle}"}},
        "bare path": {"type": "image_url", "image_url": {"url": str(circle)}},
        "data url": {"type": "image_url", "image_url": {"url": url}},
        "base64": {"type": "image_url", "image_url": {"url": base64.b64encode(data).decode()}},
        "bare string": {"type": "image_url", "image_url": str(circle)},
        "PIL image": {"type": "image", "image": opened(circle)},
        "PIL image in a url": {"type": "image_url", "image_url": {"url": opened(circle)}},
        "array": {"type": "image", "image": np.asarray(opened(circle))},
        "bytes": {"type": "image", "image": data},
        "path": {"type": "image", "image": circle},
        "path as text": {"type": "image", "image": str(circle)},
        "the image alone": opened(circle),
        "the path alone": circle,
        "the bytes alone": data,
    }


FORMS = {
    "file url", "bare path", "data url", "base64", "bare string", "PIL image", "PIL image in a url", "array", "bytes",
    "path", "path as text", "the image alone", "the path alone", "the bytes alone",
}  # fmt: skip


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_picture_in_every_form(runner: Runner, samples: Path, form: str) -> None:
    part = parts_for(samples / "red_circle.png")[form]
    said = ask(runner, [part, {"type": "text", "text": QUESTION}])
    assert "red" in said
    assert "circle" in said


def test_pictures_beside_the_messages(runner: Runner, samples: Path) -> None:
    request = ChatCompletionRequest(QUESTION, temperature=0, images=[opened(samples / "red_circle.png")])
    answer = runner.send_chat_completion_request(request)
    assert "red circle" in str(answer.choices[0].message.content)


@pytest.mark.parametrize("form", ["pair", "rate", "stereo", "integers", "bytes", "path"])
def test_a_sound_in_every_form(runner: Runner, samples: Path, form: str) -> None:
    samples_, rate = soundfile.read(samples / "beeps.wav", dtype="float32")
    integers = (samples_ * 32767).astype(np.int16)
    part = {
        "pair": {"type": "audio", "audio": (samples_, rate)},
        "rate": {"type": "audio", "audio": samples_, "rate": rate},
        "stereo": {"type": "audio", "audio": (np.stack([samples_, samples_], 1), rate)},
        "integers": {"type": "audio", "audio": (integers, rate)},
        "bytes": {"type": "audio_url", "audio_url": {"url": (samples / "beeps.wav").read_bytes()}},
        "path": samples / "beeps.wav",
    }[form]
    assert ask(runner, [part, "How many beeps do you hear?"]) == ask(
        runner, [{"type": "audio_url", "audio_url": {"url": str(samples / "beeps.wav")}}, "How many beeps do you hear?"]
    )


def test_frames_are_a_clip(runner: Runner) -> None:
    frames = np.full((6, 64, 64, 3), 255, np.uint8)
    reports = runner.inspect([{"role": "user", "content": [{"type": "video", "video": frames, "fps": 2}, "What?"]}])
    assert [(report.kind, report.summary) for report in reports] == [("video", "6 of 6 frames, 3.0 s")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([{"type": "image_url", "image_url": {"url": "/nowhere.png"}}], "nowhere"),
        ([{"type": "image", "image": object()}], "Cannot use an object as an image"),
        ([{"type": "audio", "audio": np.zeros(8, np.float32)}], "rate"),
        ([b"not a medium at all"], "neither"),
        ([{"type": "smell"}], "smell"),
        ([{"type": "image", "image": np.zeros((4, 4, 3), np.uint8), "colour": 1}], "colour"),
        ([{"type": "audio", "audio": Image.new("RGB", (4, 4))}], "not audio"),
        ([{"type": "video", "video": np.zeros((2, 4, 4, 3), np.uint8), "num_frames": 1}], "num_frames"),
        ([{"type": "video", "video": b"x", "rate": 5}], "rate"),
        ("hi \ud83d there", "U\\+D83D"),
    ],
)
def test_bad_content_is_a_value_error_that_names_it(runner: Runner, content: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ask(runner, content)


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": -1.0},
        {"top_p": 2.0},
        {"n_choices": 0},
        {"model": "other"},
        {"grammar": "x"},
        {"grammar": "(", "grammar_type": "regex"},
        {"web_search_options": {}},
        {"top_logprobs": 3},
    ],
)
def test_bad_fields_are_value_errors(runner: Runner, more: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        runner.send_chat_completion_request(ChatCompletionRequest("x", **more))


def test_a_stream_is_the_answer_in_pieces(runner: Runner, samples: Path) -> None:
    content = [samples / "red_circle.png", QUESTION]
    request = ChatCompletionRequest([{"role": "user", "content": content}], temperature=0, stream=True)
    chunks = list(runner.send_chat_completion_request(request))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ask(runner, content)
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert chunks[0].object == "chat.completion.chunk"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 2
    assert chunks[-2].usage is None


def test_closing_a_stream_frees_its_row(runner: Runner) -> None:
    request = ChatCompletionRequest("Tell me a story", max_tokens=5000, ignore_eos=True, stream=True)
    with runner.send_chat_completion_request(request) as chunks:
        assert len(list(itertools.islice(chunks, 4))) == 4
    assert runner._engine is not None
    for _ in range(1000):
        if not runner._engine.running:
            break
        threading.Event().wait(0.01)
    assert runner._engine.running == 0


def test_several_choices(runner: Runner) -> None:
    request = ChatCompletionRequest("Hello", n_choices=3, max_tokens=5, temperature=1.0, seed=4, ignore_eos=True)
    first, again = (runner.send_chat_completion_request(request) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert first.usage.completion_tokens == 15
    streamed = list(runner.send_chat_completion_request(ChatCompletionRequest(**{**vars(request), "stream": True})))
    joined = ["".join(c.choices[0].delta.content or "" for c in streamed if c.choices[0].index == i) for i in range(3)]
    assert joined == texts


def test_threads_share_a_runner_and_get_their_own_answers(runner: Runner, samples: Path) -> None:
    pictures = [samples / "red_circle.png", samples / "before.png", samples / "after.png"]
    contents = [[pictures[index % 3], QUESTION] for index in range(12)]
    alone = [ask(runner, content) for content in contents]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda content: ask(runner, content), contents))
    assert together == alone
    assert len(set(alone)) > 1


def test_a_runner_without_its_model(samples: Path) -> None:
    with Runner(Which.Plain("demo"), cpu=True) as runner:
        assert runner.is_model_loaded()
        runner.unload_model()
        assert runner.get_model_status() == "unloaded"
        with pytest.raises(RuntimeError, match="reload_model"):
            ask(runner, "Hello")
        runner.reload_model()
        assert ask(runner, "Hello")


def test_names_and_tokens(runner: Runner) -> None:
    assert runner.list_models() == ["demo"] == [runner.get_default_model_id()]
    tokens = runner.tokenize_text("hello there", False, None)
    assert runner.detokenize_text(tokens, True) == "hello there"
    assert runner.max_sequence_length() == 8192
    with pytest.raises(ValueError, match="other"):
        runner.set_default_model_id("other")


def test_a_seed_makes_a_program_repeatable_but_not_its_answers_equal() -> None:
    def session() -> list[str | None]:
        with Runner(Which.Plain("demo"), seed=5, cpu=True) as runner:
            request = ChatCompletionRequest("la li lu", temperature=2.0, max_tokens=40, ignore_eos=True)
            return [runner.send_chat_completion_request(request).choices[0].message.content for _ in range(2)]

    first = session()
    assert first == session()
    assert first[0] != first[1]


def test_an_event_loop(runner: Runner, samples: Path) -> None:
    async def main() -> list[str]:
        asking = AsyncRunner(runner)
        content = [samples / "red_circle.png", QUESTION]
        request = ChatCompletionRequest([{"role": "user", "content": content}], temperature=0)
        answers = await asyncio.gather(*(asking.send_chat_completion_request(request) for _ in range(3)))
        texts = [str(answer.choices[0].message.content) for answer in answers]
        streaming = ChatCompletionRequest([{"role": "user", "content": content}], temperature=0, stream=True)
        streamed = ""
        async for chunk in await asking.send_chat_completion_request(streaming):
            streamed += chunk.choices[0].delta.content or ""
        return [*texts, streamed]

    said = asyncio.run(main())
    assert len(set(said)) == 1
    assert "red" in said[0]


def test_cancelling_a_task_frees_its_row(runner: Runner) -> None:
    async def main() -> None:
        request = ChatCompletionRequest("Tell me", max_tokens=8000, ignore_eos=True)
        task = asyncio.create_task(AsyncRunner(runner).send_chat_completion_request(request))
        while runner._engine is not None and not runner._engine.running:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for _ in range(1000):
        if runner._engine is not None and not runner._engine.running:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the row goes on")


def png(path: Path) -> bytes:
    file = BytesIO()
    opened(path).save(file, "PNG")
    return file.getvalue()


def requests(samples: Path) -> list[dict[str, Any]]:
    """Requests of many kinds: words, media of every kind, orders, turns, and ways of drawing."""
    image = {"type": "image_url", "image_url": {"url": str(samples / "red_circle.png")}}
    other = {"type": "image_url", "image_url": {"url": f"file://{samples / 'before.png'}", "max_edge": 100}}
    sound = {"type": "audio_url", "audio_url": {"url": str(samples / "beeps.mp3")}}
    clip = {"type": "video_url", "video_url": {"url": str(samples / "clip.mp4"), "num_frames": 4}}
    contents: list[Any] = [
        "Hello", [image, "What?"], ["What?", image], [image, other, "Compare"], [other, image, "Compare"],
        [sound, "Hear?"], [clip, "See?"], [image, sound, clip, "All?"], [sound, "first", image, "then", clip], [image],
    ]  # fmt: skip
    ways: list[dict[str, Any]] = [
        {"temperature": 0},
        {"temperature": 0.9, "seed": 3, "top_p": 0.8},
        {"temperature": 0, "repetition_penalty": 1.3, "stop_seqs": ["."]},
        {"temperature": 0, "logprobs": True, "top_logprobs": 2},
        {"temperature": 0, "grammar": "(yes|no)", "grammar_type": "regex", "n_choices": 2},
    ]
    mixed = [contents[0], contents[1], contents[7]]
    return [
        {"messages": [{"role": "user", "content": content}], "max_tokens": 6, **way}
        for content, way in [*((content, ways[0]) for content in contents), *itertools.product(mixed, ways[1:])]
    ]


def comparable(answer: Any) -> list[Any]:
    """What must not depend on the surface: texts, reasons, log probabilities, counts."""
    counts = {name: count for name, count in answer.usage.prompt_tokens_details.items() if name != "cached_tokens"}
    return [
        [(choice.index, choice.message.content, choice.finish_reason) for choice in answer.choices],
        [choice.logprobs and [token.token for token in choice.logprobs.content] for choice in answer.choices],
        (answer.usage.prompt_tokens, answer.usage.completion_tokens, counts),
    ]


def test_requests_mean_the_same_here_and_on_a_server(runner: Runner, server: Running, samples: Path) -> None:
    with Runner.connect(server.url) as remote, ThreadPoolExecutor(8) as pool:
        asked = [ChatCompletionRequest(**fields) for fields in requests(samples)]
        assert len(asked) == 22
        here = list(pool.map(runner.send_chat_completion_request, asked))
        there = list(pool.map(remote.send_chat_completion_request, asked))
    assert [comparable(answer) for answer in here] == [comparable(answer) for answer in there]


def test_a_server_takes_what_only_a_program_holds(server: Running, runner: Runner, samples: Path) -> None:
    waves, rate = soundfile.read(samples / "beeps.wav", dtype="float32")
    frames = np.stack([np.full((64, 64, 3), 40 * number, np.uint8) for number in range(5)])
    contents: list[Any] = [
        [opened(samples / "red_circle.png"), QUESTION],
        [png(samples / "red_circle.png"), QUESTION],
        [samples / "red_circle.png", QUESTION],
        [(waves, rate), "How many beeps do you hear?"],
        [{"type": "video", "video": frames, "fps": 2}, "What happens?"],
    ]
    with Runner.connect(server.url + "/v1/") as remote:
        assert [ask(remote, content) for content in contents] == [ask(runner, content) for content in contents]
        assert remote.list_models() == ["demo"]


def test_a_server_streams_and_complains_with_the_same_objects(server: Running, samples: Path) -> None:
    with Runner.connect(server.url) as remote:
        content = [samples / "red_circle.png", QUESTION]
        request = ChatCompletionRequest([{"role": "user", "content": content}], temperature=0, stream=True)
        chunks = list(remote.send_chat_completion_request(request))
        assert "red" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].usage is not None
        with pytest.raises(ValueError, match="smell"):
            ask(remote, [{"type": "smell"}])
    with pytest.raises(RuntimeError, match="Nothing answers at"):
        ask(Runner.connect("http://127.0.0.1:9"), "Hello")


def test_a_text_goes_on(runner: Runner) -> None:
    request = CompletionRequest("A red", max_tokens=4, temperature=0, echo_prompt=True)
    answer = runner.send_completion_request(request)
    assert answer.object == "text_completion"
    assert answer.choices[0].text.startswith("A red")
    assert answer.usage.completion_tokens <= 4
