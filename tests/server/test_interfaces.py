"""The other interfaces, with the real clients: completions, responses, Anthropic's messages, transcriptions, tokens."""

import asyncio
import base64
import io
import json
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import anthropic
import httpx
import numpy as np
import openai
import pytest
import soundfile
from PIL import Image

from mistralrs_cli.engine import Engine
from mistralrs_cli.errors import OptionError
from mistralrs_cli.families import family_for
from mistralrs_cli.messages import MediaRef, Message, Text
from mistralrs_cli.options import ServerOptions

from .conftest import Running, serving
from .test_chat import LONG, RED, is_red_circle, until
from .test_fields import ASK, WEATHER

FLAT: dict[str, Any] = {"type": "function", **WEATHER["function"]}


@pytest.fixture
def claude(server: Running) -> Any:
    """Anthropic's client."""
    with anthropic.Anthropic(api_key="x", base_url=server.url, max_retries=0) as client:
        yield client


def test_completions_go_on_with_texts_and_tokens(client: openai.OpenAI, server: Running) -> None:
    fields: Any = {"model": "demo", "max_tokens": 6, "temperature": 0}
    one = client.completions.create(prompt="A red", logprobs=2, **fields)
    ids = server.post("/tokenize", prompt="A red").json()["tokens"]
    several = client.completions.create(prompt=["A red", "Three"], n=2, echo=True, **fields)
    assert client.completions.create(prompt=ids, **fields).choices[0].text == one.choices[0].text
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert several.choices[0].text == several.choices[1].text == "A red" + one.choices[0].text
    assert several.choices[2].text.startswith("Three")
    assert several.usage is not None
    assert one.usage is not None
    assert several.usage.prompt_tokens == len(ids) + server.post("/tokenize", prompt="Three").json()["count"]
    logprobs = one.choices[0].logprobs
    assert logprobs is not None
    assert "".join(logprobs.tokens or []) == one.choices[0].text
    assert all(len(found) == 2 for found in logprobs.top_logprobs or [])
    streamed = client.completions.create(prompt="A red", stream=True, **fields)
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == one.choices[0].text


def test_responses_with_a_picture(client: openai.OpenAI, samples: Path) -> None:
    asked: Any = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": (samples / RED).as_uri(), "detail": "auto"},
                {"type": "input_text", "text": "What is in this picture?"},
            ],
        },
    ]
    done = client.responses.create(model="default", input=asked, temperature=0)
    assert is_red_circle(done.output_text)
    assert done.status == "completed"
    assert done.usage is not None
    assert done.usage.output_tokens > 0
    with client.responses.stream(model="default", input=asked, temperature=0) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == done.output_text
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") > 2


def test_a_document_is_read_page_by_page_through_all_interfaces(
    client: openai.OpenAI, claude: anthropic.Anthropic, server: Running, samples: Path
) -> None:
    file = BytesIO()
    with Image.open(samples / RED) as picture:
        Image.new("RGB", picture.size, "white").save(file, "PDF", save_all=True, append_images=[picture.convert("RGB")])
    encoded = base64.b64encode(file.getvalue()).decode()
    address = f"data:application/pdf;base64,{encoded}"
    question = "What is in this picture?"
    fields: Any = {"model": "default", "temperature": 0}
    parts: Any = [
        {"type": "image_url", "image_url": {"url": address, "pages": "2"}},
        {"type": "text", "text": question},
    ]
    one = client.chat.completions.create(messages=[{"role": "user", "content": parts}], **fields)
    assert is_red_circle(one.choices[0].message.content or "")
    whole: Any = [{"type": "file", "file": {"filename": "x.pdf", "file_data": address}}, parts[1]]
    two = client.chat.completions.create(messages=[{"role": "user", "content": whole}], **fields)
    assert one.usage is not None
    assert two.usage is not None
    assert two.usage.prompt_tokens > one.usage.prompt_tokens + 50  # two images
    asked: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_file", "filename": "x.pdf", "file_data": address},
                {"type": "input_text", "text": question},
            ],
        }
    ]
    assert client.responses.create(input=asked, **fields).output_text == two.choices[0].message.content
    source: Any = {"type": "base64", "media_type": "application/pdf", "data": encoded}
    block: Any = [{"type": "document", "source": source, "title": "x.pdf"}, parts[1]]
    said = claude.messages.create(
        model="default",
        max_tokens=200,
        messages=[{"role": "user", "content": block}],
        extra_body={"temperature": 0},
    )
    assert said.content[0].type == "text"
    assert said.content[0].text == two.choices[0].message.content
    gone: Any = [{"type": "image_url", "image_url": {"url": address, "pages": "9"}}]
    with pytest.raises(openai.NotFoundError, match="there is no page 9") as caught:
        client.chat.completions.create(messages=[{"role": "user", "content": gone}], **fields)
    assert caught.value.param == "messages[0].content[0]"


def test_responses_go_on_after_a_call(client: openai.OpenAI) -> None:
    tools: Any = [FLAT]
    first = client.responses.create(model="default", input="Weather?", tools=tools, tool_choice="required")
    (call,) = first.output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] in ("Bonn", "Rome")
    with client.responses.stream(model="default", input="Weather?", tools=tools, tool_choice="required") as stream:
        assert [event.type for event in stream][-2:] == ["response.output_item.done", "response.completed"]
    items: Any = [
        {"role": "user", "content": "Weather?"},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    second = client.responses.create(model="default", input=items, instructions="Be brief.", max_output_tokens=3)
    assert second.status == "incomplete"
    assert second.incomplete_details is not None
    assert second.incomplete_details.reason == "max_output_tokens"


def test_responses_keep_a_form(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    form: Any = {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}
    done = client.responses.create(model="default", input="Which?", text=form)
    assert json.loads(done.output_text)["a"] in (1, 2)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "reasoning", "content": 5}]}, "input[0].content"),
    ],
)
def test_what_responses_cannot_do_is_named(server: Running, fields: dict[str, Any], param: str) -> None:
    response = server.post("/v1/responses", **({"input": "hi"} | fields))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_anthropic_with_a_picture(claude: anthropic.Anthropic, samples: Path) -> None:
    data = base64.b64encode((samples / RED).read_bytes()).decode()
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "text", "text": "What is in this picture?", "cache_control": {"type": "ephemeral"}},
    ]
    asked: Any = {
        "model": "default",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": content}],
        "extra_body": {"temperature": 0},
    }
    done = claude.messages.create(**asked)
    assert done.content[0].type == "text"
    assert is_red_circle(done.content[0].text)
    assert done.stop_reason == "end_turn"
    with claude.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == done.content[0].text
        assert stream.get_final_message().usage.output_tokens == done.usage.output_tokens
    counted = claude.messages.count_tokens(**{key: asked[key] for key in ("model", "system", "messages")})
    assert counted.input_tokens == done.usage.input_tokens
    cut = claude.messages.create(**(asked | {"stop_sequences": ["circle"]}))
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "circle")


def test_anthropics_asynchronous_client(server: Running, samples: Path) -> None:
    content: Any = [
        {"type": "image_url", "image_url": str(samples / RED)},
        {"type": "text", "text": "What is in this picture?"},
    ]
    asked: Any = {"model": "default", "max_tokens": 50, "messages": [{"role": "user", "content": content}]}

    async def both() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(api_key="x", base_url=server.url, max_retries=0) as client:
            done = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                streamed = "".join([text async for text in stream.text_stream])
            assert done.content[0].type == "text"
            return done.content[0].text, streamed

    whole, streamed = asyncio.run(both())
    assert whole == streamed
    assert is_red_circle(whole)


def test_anthropic_calls_a_tool_and_goes_on(claude: anthropic.Anthropic) -> None:
    function = WEATHER["function"]
    tools: Any = [{"name": "get_weather", "description": "…", "input_schema": function["parameters"]}]
    messages: Any = [{"role": "user", "content": "Weather?"}]
    fields: Any = {"model": "default", "max_tokens": 100, "tools": tools}
    done = claude.messages.create(messages=messages, tool_choice={"type": "any"}, **fields)
    assert done.stop_reason == "tool_use"
    call = done.content[0]
    assert call.type == "tool_use"
    assert call.input["city"] in ("Bonn", "Rome")
    with claude.messages.stream(
        messages=messages, tool_choice={"type": "tool", "name": "get_weather"}, **fields
    ) as stream:
        block = stream.get_final_message().content[0]
    assert block.type == "tool_use"
    assert set(block.input) == {"city", "days"}
    messages += [
        {"role": "assistant", "content": [call.model_dump(include={"type", "id", "name", "input"})]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
    ]
    assert claude.messages.create(messages=messages, **fields).content


def test_anthropic_keeps_a_form(claude: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    messages: Any = [{"role": "user", "content": "Which?"}]
    done = claude.messages.create(model="default", max_tokens=50, messages=messages, output_config=config)
    assert done.content[0].type == "text"
    assert json.loads(done.content[0].text)["a"] in (1, 2)


def test_anthropic_errors_have_their_own_form(claude: anthropic.Anthropic, server: Running) -> None:
    with pytest.raises(anthropic.NotFoundError, match="There is no model"):
        claude.messages.create(model="claude", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    response = server.post("/v1/messages", messages="hi")
    assert response.status_code == 400
    assert response.json() == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "max_tokens is missing."},
        "request_id": response.headers["x-request-id"],
    }


def test_a_transcription(client: openai.OpenAI, server: Running, samples: Path) -> None:
    path, said = samples / "digits.wav", "three seven one"
    with path.open("rb") as file:
        done = client.audio.transcriptions.create(model="default", file=file)
    assert done.text == said
    with path.open("rb") as file:
        plain = client.audio.transcriptions.create(model="default", file=file, response_format="text")
    assert plain.strip() == said
    with path.open("rb") as file:
        events = list(client.audio.transcriptions.create(model="default", file=file, stream=True))
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == said
    with path.open("rb") as file, pytest.raises(openai.BadRequestError, match="A stream has no srt"):
        client.audio.transcriptions.create(model="default", file=file, response_format="srt", stream=True)
    with (samples / RED).open("rb") as file, pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="default", file=file)
    with path.open("rb") as file:
        odd = httpx.post(f"{server.url}/v1/audio/transcriptions", files={"file": file}, data={"stream": "perhaps"})
    assert (odd.status_code, odd.json()["error"]["param"]) == (400, "stream")
    assert httpx.post(f"{server.url}/v1/audio/transcriptions", json={}).status_code == 415
    assert httpx.post(f"{server.url}/v1/audio/transcriptions", files={"other": b"x"}).status_code == 400


def test_a_transcription_with_times(client: openai.OpenAI, samples: Path) -> None:
    """Two utterances, of which each is a segment."""
    audio, rate = soundfile.read(samples / "digits.wav", dtype="float32")
    held = io.BytesIO()
    soundfile.write(held, np.concatenate([audio, np.zeros(rate, np.float32), audio]), rate, format="FLAC")
    file = ("talk.flac", held.getvalue())
    verbose = client.audio.transcriptions.create(
        model="default", file=file, response_format="verbose_json", timestamp_granularities=["segment"], language="en"
    )
    assert verbose.text == "three seven one three seven one"
    assert verbose.segments is not None
    assert [segment.text for segment in verbose.segments] == ["three seven one"] * 2
    starts, length = [segment.start for segment in verbose.segments], len(audio) / rate + 1
    assert starts[1] - starts[0] == pytest.approx(length, abs=0.05)
    assert (verbose.language, verbose.model_extra and verbose.model_extra["times"]) == ("en", "window")
    assert float(verbose.duration) == pytest.approx(2 * len(audio) / rate + 1, abs=0.01)
    srt = client.audio.transcriptions.create(model="default", file=file, response_format="srt")
    assert srt.startswith("1\n00:00:00,")
    assert "\n\n2\n00:00:03," in srt
    vtt = client.audio.transcriptions.create(model="default", file=file, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the newest client's own
        english = client.audio.translations.create(model="default", file=file)
    assert english.text.count("three seven one") == 2
    events = list(client.audio.transcriptions.create(model="default", file=file, stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 2
    assert "".join(deltas) == verbose.text
    wrong: Any = ["letter"]
    with pytest.raises(openai.BadRequestError, match="no times of a 'letter'"):
        client.audio.transcriptions.create(
            model="default", file=file, response_format="verbose_json", timestamp_granularities=wrong
        )


def test_a_silent_recording_has_no_text(server: Running) -> None:
    held = io.BytesIO()
    soundfile.write(held, np.zeros(32_000, np.float32), 16_000, format="WAV")
    for format, expected in (("text", "\n"), ("srt", "")):
        form = {"response_format": format}
        found = httpx.post(f"{server.url}/v1/audio/transcriptions", files={"file": held.getvalue()}, data=form)
        assert (found.status_code, found.text) == (200, expected)


def test_how_audio_is_transcribed_is_the_familys_to_say(server: Running) -> None:
    audio = MediaRef("audio", "a.wav")
    messages, template_inputs = server.service.default.ready().transcription(audio, "en")
    assert template_inputs == {}
    assert "in the language en" in messages[0].text
    prompted, _ = server.service.default.ready().transcription(audio, "en", prompt="Names: Ada.")
    assert prompted[-1].parts[-1] == Text("\nNames: Ada.")
    assert audio in prompted[-1].parts
    voxtral = family_for({"model_type": "voxtral", "audio_config": {}})
    messages, template_inputs = voxtral.transcription(audio, "fr")
    assert (messages, template_inputs) == ([Message("user", (audio,))], {"transcribe": True, "language": "fr"})
    with pytest.raises(OptionError, match="no prompt") as caught:
        voxtral.transcription(audio, prompt="Names: Ada.")
    assert caught.value.param == "prompt"
    messages, template_inputs = voxtral.transcription(audio, translate=True, prompt="Names: Ada.")
    assert (messages[0].text.startswith("Translate"), template_inputs) == (True, {})


def test_tokens_there_and_back(server: Running, samples: Path) -> None:
    found = server.post("/tokenize", prompt="a red circle", add_special_tokens=False).json()
    assert found["count"] == len(found["tokens"])
    assert found["max_model_len"] == 8192
    back = server.post("/detokenize", tokens=found["tokens"]).json()
    assert (back["prompt"], bytes(back["bytes"])) == ("a red circle", b"a red circle")
    picture = {"type": "image_url", "image_url": str(samples / RED)}
    messages = [{"role": "user", "content": [picture, {"type": "text", "text": ASK}]}]
    counted = server.post("/tokenize", messages=messages).json()["count"]
    assert counted == server.chat(messages=messages, max_tokens=1).json()["usage"]["prompt_tokens"]
    assert server.post("/detokenize", tokens=[10**9]).status_code == 400
    assert server.post("/detokenize", tokens=[-1]).status_code == 400
    assert server.post("/tokenize").status_code == 400


def value(server: Running, line: str) -> float:
    """A number of ``/metrics``; 0 where there is none yet."""
    text = httpx.get(f"{server.url}/metrics").text
    return next((float(found.split()[-1]) for found in text.splitlines() if found.startswith(line + " ")), 0.0)


def test_metrics_count_what_happened(server: Running, samples: Path) -> None:
    names = [
        'mistralrs_answers_total{model="demo",outcome="length"}',
        'mistralrs_completion_tokens_total{model="demo"}',
        'mistralrs_media_tokens_total{kind="image",model="demo"}',
        'mistralrs_first_token_seconds_count{model="demo"}',
        'mistralrs_media_seconds_count{model="demo"}',
        'mistralrs_requests_total{path="/v1/chat/completions",status="200"}',
        'mistralrs_answers_total{model="demo",outcome="refused"}',
    ]
    before = [value(server, name) for name in names]
    part = {"type": "image_url", "image_url": str(samples / RED)}
    server.chat(messages=[{"role": "user", "content": [part]}], max_tokens=2, ignore_eos=True)
    server.chat(messages="hi", temperature=-1)
    after = [value(server, name) for name in names]
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 2, 63, 1, 1, 1, 1]
    assert value(server, 'mistralrs_running_sequences{model="demo"}') == 0


def test_metrics_tell_who_runs_and_who_waits(engine: Engine) -> None:
    waits = {"stream": True, **LONG}
    gauges = ("running_sequences", "waiting_requests", "requests_in_flight")
    names = [f'mistralrs_{gauge}{{model="demo"}}' for gauge in gauges]
    with (
        Engine(engine.loaded, max_rows=1) as narrow,
        serving(narrow, ServerOptions(port=0, grace=2.0), rows=1) as running,
        httpx.Client(timeout=60) as one,
        httpx.Client(timeout=60) as two,
    ):
        url = f"{running.url}/v1/chat/completions"
        assert [value(running, name) for name in names] == [0, 0, 0]
        with one.stream("POST", url, json=waits), two.stream("POST", url, json=waits):
            until(lambda: narrow.running == narrow.waiting == 1)
            assert [value(running, name) for name in names] == [1, 1, 2]
        until(lambda: running.service.concurrency.in_flight == narrow.running == narrow.waiting == 0)
        assert [value(running, name) for name in names] == [0, 0, 0]
        assert value(running, 'mistralrs_answers_total{model="demo",outcome="disconnected"}') == 2


def test_metrics_tell_the_time_of_a_token_and_what_was_reused(engine: Engine) -> None:
    counted = ("token_seconds_count", "token_seconds_sum", "cached_tokens_total")
    names = [f'mistralrs_{each}{{model="demo"}}' for each in counted]
    with Engine(engine.loaded, prefixes=2) as keeping, serving(keeping, ServerOptions(port=0)) as running:
        asked = {"messages": "Tell me about a red circle.", "max_tokens": 6, "ignore_eos": True, "temperature": 0}
        first, second = (running.chat(**asked).json()["usage"] for _ in range(2))
        running.chat(**asked | {"max_tokens": 1})  # has no token after the first
        cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in (first, second)]
        assert cached[0] == 0 < cached[1]
        count, seconds, reused = (value(running, name) for name in names)
    assert (count, reused) == (2, 2 * cached[1])
    told = (first["total_completion_time_sec"] + second["total_completion_time_sec"]) / 5
    assert seconds == pytest.approx(told, abs=1e-4)
