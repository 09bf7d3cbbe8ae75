"""openai-agents: its two models."""

import asyncio
from typing import Literal

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from steps import ASK_PICTURE, KEY, MODEL, URL, is_red_circle, picture, run, said, step

set_tracing_disabled(True)
SETTINGS = ModelSettings(max_tokens=200, temperature=0.0)


class Color(BaseModel):
    """A color."""

    color: Literal["red", "blue"]


@function_tool
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def ask(kind, question, settings=SETTINGS, turns=4, **fields):
    async def run_it():
        model = kind(MODEL, AsyncOpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0))
        return await Runner.run(
            Agent(name="a", instructions="Be brief.", model=model, model_settings=settings, **fields),
            question,
            max_turns=turns,
        )

    return asyncio.run(run_it())


def steps_of(prefix, kind):
    @step(f"{prefix}text and a second turn")
    def text():
        first = ask(kind, "What can you do?")
        said(first.final_output)
        said(ask(kind, [*first.to_input_list(), {"role": "user", "content": "Go on."}]).final_output)

    @step(f"{prefix}stream")
    def stream():
        async def run_it():
            model = kind(MODEL, AsyncOpenAI(api_key=KEY, base_url=f"{URL}/v1"))
            result = Runner.run_streamed(Agent(name="a", model=model, model_settings=SETTINGS), "What can you do?")
            async for _ in result.stream_events():
                pass
            return result.final_output

        said(asyncio.run(run_it()))

    @step(f"{prefix}picture", media=True)
    def sees():
        content = [
            {"type": "input_text", "text": ASK_PICTURE},
            {"type": "input_image", "image_url": picture(), "detail": "auto"},
        ]
        is_red_circle(ask(kind, [{"role": "user", "content": content}]).final_output)

    @step(f"{prefix}tool, its result, the answer")
    def tools():
        forced = ModelSettings(max_tokens=200, temperature=0.0, tool_choice="required")
        said(ask(kind, "Weather?", forced, tools=[get_weather]).final_output)

    @step(f"{prefix}output type")
    def output():
        assert ask(kind, "Which color?", output_type=Color).final_output.color in ("red", "blue")

    @step(f"{prefix}output type with tools")
    def both():
        assert ask(kind, "Which color?", output_type=Color, tools=[get_weather]).final_output.color in ("red", "blue")


steps_of("chat: ", OpenAIChatCompletionsModel)
steps_of("responses: ", OpenAIResponsesModel)
run()
