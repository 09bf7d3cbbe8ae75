"""haystack-ai: its generator for chats."""

from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage, ImageContent
from haystack.tools import Tool
from haystack.utils import Secret
from steps import ASK_PICTURE, KEY, MODEL, URL, WEATHER, encoded, in_city, is_red_circle, run, said, step


def ask(message="What can you do?", callback=None, tools=None, **settings):
    generator = OpenAIChatGenerator(
        model=MODEL,
        api_key=Secret.from_token(KEY),
        api_base_url=f"{URL}/v1",
        generation_kwargs={"max_tokens": 200, **settings},
        streaming_callback=callback,
        tools=tools,
    )
    asked = message if isinstance(message, ChatMessage) else ChatMessage.from_user(message)
    return generator.run([asked])["replies"][0]


@step("chat")
def chat():
    said(ask().text)


@step("stream")
def stream():
    pieces = []
    ask(callback=lambda chunk: pieces.append(chunk.content))
    said("".join(pieces))


@step("picture", media=True)
def sees():
    image = ImageContent(base64_image=encoded("red_circle.png"), mime_type="image/png")
    is_red_circle(ask(ChatMessage.from_user(content_parts=[ASK_PICTURE, image])).text)


@step("tools")
def tools():
    weather = Tool(name="get_weather", description="Weather.", parameters=WEATHER, function=lambda city: "sunny")
    calls = ask(tools=[weather], tool_choice="required").tool_calls
    assert calls, "no call"
    in_city(calls[0].arguments)


@step("response_format")
def form():
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    said(ask(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}).text)


run()
