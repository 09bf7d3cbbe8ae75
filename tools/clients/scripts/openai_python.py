"""openai: chat, streams, pictures, sounds, tools, parsed answers, completions, responses, transcriptions."""

import asyncio
import json
from typing import Literal

import openai
from pydantic import BaseModel
from steps import (
    ASK_PICTURE,
    KEY,
    MEDIA,
    MODEL,
    URL,
    WEATHER,
    encoded,
    in_city,
    is_red_circle,
    picture,
    run,
    said,
    step,
)

client = openai.OpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0)
HI = [{"role": "user", "content": "What can you do?"}]
SEEN = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": ASK_PICTURE},
            {"type": "image_url", "image_url": {"url": picture() if MEDIA else "", "detail": "auto"}},
        ],
    }
]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
FLAT = {"type": "function", "name": "get_weather", "description": "Weather.", "parameters": WEATHER}


class Color(BaseModel):
    color: Literal["red", "blue"]


class Named(BaseModel):
    name: str
    count: int


@step("chat")
def chat():
    said(client.chat.completions.create(model=MODEL, messages=HI, max_tokens=30).choices[0].message.content)


@step("stream with usage")
def stream():
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=HI, max_tokens=30, stream=True, stream_options={"include_usage": True}
        )
    )
    said("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    assert chunks[-1].usage.completion_tokens


@step("async")
def asynchronous():
    async def ask():
        async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{URL}/v1") as other:
            return await other.chat.completions.create(model=MODEL, messages=HI, max_tokens=10)

    said(asyncio.run(ask()).choices[0].message.content)


@step("picture", media=True)
def sees():
    is_red_circle(client.chat.completions.create(model=MODEL, messages=SEEN, max_tokens=30).choices[0].message.content)


@step("sound", media=True)
def hears():
    part = {"type": "input_audio", "input_audio": {"data": encoded("beeps.wav"), "format": "wav"}}
    text = {"type": "text", "text": "How many beeps do you hear?"}
    said(
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part, text]}], max_tokens=30)
        .choices[0]
        .message.content
    )


@step("logprobs, n, seed, logit_bias")
def drawn():
    done = client.chat.completions.create(
        model=MODEL, messages=HI, n=2, seed=1, logprobs=True, top_logprobs=2, logit_bias={"5": -1}, max_tokens=4
    )
    assert len(done.choices) == 2
    assert len(done.choices[0].logprobs.content[0].top_logprobs) == 2


@step("hints: verbosity, prediction, reasoning_effort, store, metadata")
def hints():
    client.chat.completions.create(
        model=MODEL,
        messages=HI,
        max_tokens=4,
        verbosity="low",
        reasoning_effort="low",
        prediction={"type": "content", "content": "x"},
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        user="u",
    )


@step("tool, forced, and its result")
def tools():
    done = client.chat.completions.create(
        model=MODEL, messages=HI, tools=[TOOL], tool_choice="required", max_tokens=200
    ).choices[0]
    assert done.message.tool_calls, f"no call, but {done.finish_reason}: {str(done.message.content)[:50]!r}"
    in_city(done.message.tool_calls[0].function.arguments)
    result = {"role": "tool", "tool_call_id": done.message.tool_calls[0].id, "content": "sunny"}
    again = client.chat.completions.create(
        model=MODEL, messages=[*HI, done.message, result], tools=[TOOL], max_tokens=20
    )
    assert again.choices[0].finish_reason


@step("parse, closed words")
def parsed():
    done = client.chat.completions.parse(model=MODEL, messages=HI, response_format=Color, max_tokens=60)
    assert done.choices[0].message.parsed.color in ("red", "blue")


@step("parse, free words")
def parsed_free():
    done = client.chat.completions.parse(model=MODEL, messages=HI, response_format=Named, max_tokens=400)
    assert done.choices[0].message.parsed.name is not None


@step("pydantic_function_tool")
def function_tool():
    done = client.chat.completions.parse(
        model=MODEL, messages=HI, tools=[openai.pydantic_function_tool(Named)], tool_choice="required", max_tokens=400
    )
    assert done.choices[0].message.tool_calls[0].function.parsed_arguments.name is not None


@step("completions with echo and logprobs")
def completions():
    done = client.completions.create(model=MODEL, prompt="A red", max_tokens=3, echo=True, logprobs=2)
    assert done.choices[0].text.startswith("A red")
    assert done.choices[0].logprobs.token_logprobs[0] is None


@step("models")
def models():
    assert client.models.list().data[0].id
    assert client.models.retrieve(MODEL).id


@step("responses")
def responses():
    said(client.responses.create(model=MODEL, input="What can you do?", max_output_tokens=30).output_text)


@step("responses: stream, picture", media=True)
def responses_picture():
    content = [{"type": "input_text", "text": ASK_PICTURE}, {"type": "input_image", "image_url": picture()}]
    with client.responses.stream(model=MODEL, input=[{"role": "user", "content": content}]) as events:
        for _ in events:
            pass
        is_red_circle(events.get_final_response().output_text)


@step("responses: tool and its result")
def responses_tool():
    done = client.responses.create(
        model=MODEL, input="Weather in Paris?", tools=[FLAT], tool_choice="required", include=[], max_output_tokens=200
    )
    call = done.output[0]
    in_city(call.arguments)
    items = [{"role": "user", "content": "Weather in Paris?"}, call]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": json.dumps({"sky": "clear"})})
    assert client.responses.create(model=MODEL, input=items, tools=[FLAT], max_output_tokens=20).status


@step("responses: parse")
def responses_parse():
    done = client.responses.parse(model=MODEL, input="Which?", text_format=Color, max_output_tokens=60)
    assert done.output_parsed.color in ("red", "blue")


@step("transcription", media=True)
def transcription():
    with open(f"{MEDIA}/digits.wav", "rb") as file:
        said(client.audio.transcriptions.create(model=MODEL, file=file, chunking_strategy="auto").text)


@step("transcription: verbose_json, srt, vtt, stream, translation", media=True)
def subtitles():
    with open(f"{MEDIA}/digits.wav", "rb") as file:
        sound = ("digits.wav", file.read())
    found = client.audio.transcriptions.create(
        model=MODEL, file=sound, response_format="verbose_json", timestamp_granularities=["segment", "word"]
    )
    said(found.text)
    assert found.segments[0].end > found.segments[0].start >= 0
    assert found.duration
    assert "-->" in client.audio.transcriptions.create(model=MODEL, file=sound, response_format="srt")
    assert client.audio.transcriptions.create(model=MODEL, file=sound, response_format="vtt").startswith("WEBVTT")
    events = list(client.audio.transcriptions.create(model=MODEL, file=sound, stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    said(client.audio.translations.create(model=MODEL, file=sound).text)


run()
