"""pydantic-ai: chat and responses models, tools, outputs, history."""

import base64
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import ASK_PICTURE, KEY, MODEL, URL, encoded, is_red_circle, run, said, step

provider = OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)
SETTINGS = {"max_tokens": 200, "temperature": 0.0}


class Color(BaseModel):
    """A color."""

    color: Literal["red", "blue"]


def steps_of(prefix, model):
    @step(f"{prefix}text and history")
    def text():
        agent = Agent(model, model_settings=SETTINGS, instructions="Be brief.")
        first = agent.run_sync("What can you do?")
        said(first.output)
        said(agent.run_sync("Go on.", message_history=first.all_messages()).output)

    @step(f"{prefix}stream")
    def stream():
        said("".join(Agent(model, model_settings=SETTINGS).run_stream_sync("What can you do?").stream_text(delta=True)))

    @step(f"{prefix}picture", media=True)
    def sees():
        image = BinaryContent(data=base64.b64decode(encoded("red_circle.png")), media_type="image/png")
        is_red_circle(Agent(model, model_settings=SETTINGS).run_sync([ASK_PICTURE, image]).output)

    @step(f"{prefix}tool output")
    def tool_output():
        agent = Agent(model, output_type=ToolOutput(Color), model_settings=SETTINGS)
        assert agent.run_sync("Which color?").output.color in ("red", "blue")

    @step(f"{prefix}native output")
    def native_output():
        agent = Agent(model, output_type=NativeOutput(Color), model_settings=SETTINGS)
        assert agent.run_sync("Which color?").output.color in ("red", "blue")

    @step(f"{prefix}native output with tools")
    def both():
        agent = Agent(model, output_type=NativeOutput(Color), model_settings=SETTINGS)
        agent.tool_plain(lambda: "red", name="look")
        assert agent.run_sync("Which color?").output.color in ("red", "blue")


steps_of("chat: ", OpenAIChatModel(MODEL, provider=provider))
steps_of("responses: ", OpenAIResponsesModel(MODEL, provider=provider))
run()
