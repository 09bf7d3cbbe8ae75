"""llama-index-llms-openai-like."""

import asyncio
import base64

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from steps import ASK_PICTURE, KEY, MODEL, URL, encoded, is_red_circle, run, said, step

llm = OpenAILike(
    model=MODEL,
    api_base=f"{URL}/v1",
    api_key=KEY,
    is_chat_model=True,
    is_function_calling_model=True,
    max_tokens=200,
    max_retries=0,
)
HI = [ChatMessage(role="user", content="What can you do?")]


@step("chat")
def chat():
    said(llm.chat(HI).message.content)


@step("stream")
def stream():
    said("".join(chunk.delta or "" for chunk in llm.stream_chat(HI)))


@step("achat")
def asynchronous():
    said(asyncio.run(llm.achat(HI)).message.content)


@step("complete")
def complete():
    said(llm.complete("What can you do?").text)


@step("picture", media=True)
def sees():
    blocks = [ImageBlock(image=base64.b64decode(encoded("red_circle.png"))), TextBlock(text=ASK_PICTURE)]
    is_red_circle(llm.chat([ChatMessage(role="user", blocks=blocks)]).message.content)


@step("tools")
def tools():
    def get_weather(days: int) -> str:
        """The weather of some days."""
        return "sunny"

    answer = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="Weather?", tool_required=True)
    assert llm.get_tool_calls_from_response(answer)[0].tool_name == "get_weather"


run()
