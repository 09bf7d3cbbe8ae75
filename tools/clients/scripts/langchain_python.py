"""langchain-openai (chat and responses) and langchain-anthropic."""

import sys
from typing import Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from steps import ASK_PICTURE, KEY, MODEL, URL, encoded, in_city, is_red_circle, picture, run, said, step


class Color(BaseModel):
    """A color."""

    color: Literal["red", "blue"]


@tool
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


if sys.argv[1:] == ["anthropic"]:
    from langchain_anthropic import ChatAnthropic

    MODELS = {"": ChatAnthropic(model=MODEL, base_url=URL, api_key=KEY, max_tokens=200, max_retries=0)}
    METHODS = ("function_calling", "json_schema")
else:
    from langchain_openai import ChatOpenAI

    common = {"model": MODEL, "base_url": f"{URL}/v1", "api_key": KEY, "max_tokens": 200, "max_retries": 0}
    MODELS = {"chat: ": ChatOpenAI(**common), "responses: ": ChatOpenAI(use_responses_api=True, **common)}
    METHODS = ("function_calling", "json_schema", "json_mode")


def steps_of(prefix, model):
    @step(f"{prefix}invoke")
    def invoke():
        said(model.invoke("What can you do?").text)

    @step(f"{prefix}stream")
    def stream():
        said("".join(chunk.text for chunk in model.stream("What can you do?")))

    @step(f"{prefix}batch")
    def batch():
        for answer in model.batch(["hello", "What can you do?"]):
            said(answer.text)

    @step(f"{prefix}picture", media=True)
    def sees():
        for image in (
            {"type": "image_url", "image_url": {"url": picture()}},
            {"type": "image", "base64": encoded("red_circle.png"), "mime_type": "image/png"},
        ):
            is_red_circle(model.invoke([HumanMessage([{"type": "text", "text": ASK_PICTURE}, image])]).text)

    @step(f"{prefix}bind_tools and the result")
    def tools():
        bound = model.bind_tools([get_weather], tool_choice="any")
        asked = HumanMessage("What can you do?")
        answer = bound.invoke([asked])
        assert answer.tool_calls, f"no call, but {str(answer.content)[:60]!r}"
        in_city(answer.tool_calls[0]["args"])
        result = ToolMessage("sunny", tool_call_id=answer.tool_calls[0]["id"])
        model.bind_tools([get_weather]).invoke([asked, answer, result])

    for method in METHODS:

        @step(f"{prefix}with_structured_output({method})")
        def structured(method=method):
            found = model.with_structured_output(Color, method=method).invoke("Which color? Answer in JSON.")
            assert found is not None and found.color in ("red", "blue"), found


for prefix, model in MODELS.items():
    steps_of(prefix, model)

if "chat: " in MODELS:

    @step("verbosity, reasoning_effort")
    def hints():
        ChatOpenAI(verbosity="low", reasoning_effort="low", **common).invoke("hello")


run()
