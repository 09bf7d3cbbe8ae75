"""``POST /v1/chat/completions``: OpenAI's chat, whole or as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import MistralrsError, OptionError
from ...events import collect
from ...messages import MediaOptions
from ...options import Turn
from ...protocol import ChunkChoices, choice, conversation, head, thinking_fields, tools, usage
from ...protocol.tools import custom_names
from ..generation_request import GenerationRequest
from ..http import errors
from ..http.body import parse
from ..http.sse import EventStreamResponse, cancel_on_disconnect, event
from ..response_streams import ResponseStreams
from ..service import Service
from .schemas import ChatRequest


async def chat(request: Request, service: Service) -> Response:
    """Answer one request."""
    body = await parse(request, ChatRequest, service.options)
    service.check_model(body.model)
    beginning = service.begin(request, question(body, service.media_options), max(body.n or 1, 1))
    if not body.stream:
        return JSONResponse(await cancel_on_disconnect(request, whole(beginning, body, service.name)))
    answers = await cancel_on_disconnect(request, beginning)
    return EventStreamResponse(chunks(answers, body, service.name), answers.close)


def question(body: ChatRequest, media: MediaOptions) -> Callable[[], GenerationRequest]:
    """What to ask, made in a worker thread."""

    def to_request() -> GenerationRequest:
        return GenerationRequest(
            messages=conversation(body.messages, media),
            sampling=body.drawn(
                max_completion_tokens=body.max_completion_tokens,
                logprobs=body.logprobs,
                top_logprobs=body.top_logprobs,
                chat_template_kwargs=body.chat_template_kwargs,
                turn=ending(body.continue_final_message, body.add_generation_prompt),
                **thinking_fields(
                    body.enable_thinking,
                    body.reasoning_effort,
                    body.thinking_budget,
                    body.thinking,
                    body.reasoning,
                ),
            ),
            tools=tools(body.tools, body.tool_choice, body.parallel_tool_calls),
            choices=1 if body.n is None else body.n,
        )

    return to_request


def ending(continued: bool | None, prompted: bool | None) -> Turn:
    """How the prompt ends, by two fields that say it together."""
    if continued and prompted:
        raise OptionError(
            "continue_final_message and add_generation_prompt exclude each other.",
            "Leave one out.",
            param="continue_final_message",
        )
    if continued:
        return "open"
    return "closed" if prompted is False else "new"


async def whole(beginning: Awaitable[ResponseStreams], body: ChatRequest, model: str) -> dict[str, Any]:
    """The whole response."""
    answers = await beginning
    events = await answers.all_events()
    customs = custom_names(body.tools)
    return head("chat.completion", model) | {
        "choices": [choice(index, collect(said), customs) for index, said in enumerate(events)],
        "usage": usage(answers.total()),
    }


async def chunks(answers: ResponseStreams, body: ChatRequest, model: str) -> AsyncGenerator[bytes]:
    """Server-sent events: the role, then deltas, then why it ended, then the usage if wanted."""
    first = head("chat.completion.chunk", model)
    with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    choices = [ChunkChoices(index, custom_names(body.tools)) for index in range(len(answers.streams))]

    def chunk(piece: dict[str, Any]) -> bytes:
        return event(first | {"choices": [piece]} | ({"usage": None} if with_usage else {}))

    for said in choices:
        yield chunk(said.piece({"role": "assistant", "content": ""}))
    try:
        async with aclosing(answers.events()) as arriving:
            async for index, item in arriving:
                for piece in choices[index].of(item):
                    yield chunk(piece)
    except MistralrsError as error:
        yield event(errors.body(error, ""))
        return
    if with_usage:
        yield event(first | {"choices": [], "usage": usage(answers.total())})
    yield event("[DONE]")
