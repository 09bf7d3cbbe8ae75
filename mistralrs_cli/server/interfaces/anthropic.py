"""``POST /v1/messages``: Anthropic's interface, and ``/v1/messages/count_tokens``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...options import Tools
from ...protocol import sampling, thinking_fields, tools
from ...protocol.fields import instance, only, shown
from ...protocol.ignored_fields import ignore_field
from ...protocol.messages import optional_text
from ...protocol.tools import HINTS
from ..exchange import Interface, caller_of
from ..generation_request import GenerationRequest
from ..http.sse import cancel_on_disconnect
from ..served_model import ServedModel
from ..service import Service
from .anthropic_input import can_continue, conversation
from .anthropic_output import AnthropicMessage
from .schemas import AnthropicRequest, CountRequest


def to_request(body: AnthropicRequest, model: ServedModel) -> GenerationRequest:
    """What the model is asked for. A last message by the assistant is continued."""
    messages = conversation(body, model.media_options)
    config = body.output_config or {}
    return GenerationRequest(
        messages=messages,
        sampling=sampling(
            max_tokens=body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            stop=body.stop_sequences,
            response_format=response_format(config),
            turn="open" if can_continue(messages) else "new",
            **thinking_fields(effort=optional_text(config, "effort", "output_config"), thinking=body.thinking),
        ),
        tools=offered_tools(body),
    )


def response_format(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """``output_config.format`` as OpenAI's ``response_format``."""
    only(config, ("format", "effort", "task_budget"), "output_config")
    format = config.get("format")
    if format is None:
        return None
    only(instance(format, dict, "output_config.format"), ("type", "schema"), "output_config.format")
    return {"type": format.get("type"), "json_schema": {"schema": format.get("schema")}}


def offered_tools(body: AnthropicRequest) -> Tools | None:
    """The tools, from Anthropic's form by way of OpenAI's."""
    functions = []
    for index, tool in enumerate(body.tools or []):
        place = f"tools[{index}]"
        kind = tool.get("type", "custom")
        if kind != "custom":
            what = f"is {shown(kind)}; this server runs no tools of its own."
            ignore_field(f"{place}.type", what, note=f"{place}:{kind}")
            continue
        only(tool, ("type", "name", "description", "input_schema", "eager_input_streaming", *HINTS), place)
        function = {"name": tool.get("name"), "description": tool.get("description")}
        function |= {"parameters": tool.get("input_schema"), "strict": tool.get("strict")}
        functions.append({"type": "function", "function": function})
    choice = body.tool_choice or {}
    only(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    openai_choice: str | dict[str, Any] | None = choice.get("type")
    if openai_choice == "tool":
        openai_choice = {"type": "function", "function": {"name": choice.get("name")}}
    return tools(functions, openai_choice, choice.get("disable_parallel_tool_use") is not True)


async def count_tokens(http_request: Request, service: Service) -> Response:
    """The length of a prompt."""
    body = await CountRequest.from_request(http_request, service.options)
    model = service.model(body.model)
    caller = caller_of(http_request, service, model)
    tokens = await cancel_on_disconnect(
        http_request, lambda: service.tokens(lambda: to_request(body, model), caller, model)
    )
    return JSONResponse({"input_tokens": len(tokens)})


MESSAGES = Interface("answer", AnthropicRequest, to_request, AnthropicMessage)
