"""``POST /v1/completions``: OpenAI's older interface, without roles and templates."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import MistralrsError, OptionError
from ...events import Done, PromptLogprobs, ReasoningDelta, ScoredToken, TextDelta, TokenLogprobs, collect
from ...protocol import usage
from ..generation_request import GenerationRequest
from ..http import errors
from ..http.body import parse
from ..http.sse import EventStreamResponse, cancel_on_disconnect, event
from ..response_streams import ResponseStreams
from ..service import Service
from .schemas import CompletionRequest

Prompt = str | tuple[int, ...]


async def complete(request: Request, service: Service) -> Response:
    """Answer one request."""
    body = await parse(request, CompletionRequest, service.options)
    service.check_model(body.model)
    prompts = prompts_of(body)
    choices = body.n or 1
    if body.best_of is not None and body.best_of != choices:
        raise OptionError("best_of cannot be kept to: as many answers are given as made.", "Use n.", param="best_of")

    def to_request() -> GenerationRequest:
        drawn = body.drawn(logprobs=body.logprobs is not None, top_logprobs=body.logprobs, echo=bool(body.echo))
        return GenerationRequest(prompts=prompts, sampling=drawn, choices=choices)

    beginning = service.begin(request, to_request, choices * len(prompts))
    echoes = [echo(service, prompt) if body.echo else "" for prompt in prompts for _ in range(choices)]
    if not body.stream:
        return JSONResponse(await cancel_on_disconnect(request, whole(beginning, service.name, choices, echoes)))
    answers = await cancel_on_disconnect(request, beginning)
    with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return EventStreamResponse(chunks(answers, service.name, choices, echoes, with_usage), answers.close)


def prompts_of(body: CompletionRequest) -> tuple[Prompt, ...]:
    """One prompt or several, as text or tokens."""
    if isinstance(body.prompt, str):
        return (body.prompt,)
    if not body.prompt:
        raise OptionError("prompt is empty.", "Send a text.", param="prompt")
    tokens = tuple(item for item in body.prompt if isinstance(item, int))
    if tokens:
        return (tokens,)
    return tuple(item if isinstance(item, str) else tuple(item) for item in body.prompt if not isinstance(item, int))


def echo(service: Service, prompt: Prompt) -> str:
    """A prompt as text."""
    return prompt if isinstance(prompt, str) else service.ready().decode(prompt, special=True)


def head(model: str) -> dict[str, Any]:
    """What every response and chunk begins with."""
    made = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
    return made | {"model": model, "system_fingerprint": "mistralrs"}


async def whole(
    beginning: Awaitable[ResponseStreams], model: str, choices: int, echoes: Sequence[str]
) -> dict[str, Any]:
    """The whole response. A thought is no part of it."""
    answers = await beginning
    replies = [collect(events) for events in await answers.all_events()]
    return head(model) | {
        "choices": [
            {
                "index": index,
                "text": echoed + reply.text,
                "logprobs": logprob_lists(
                    (*reply.prompt_logprobs, *reply.logprobs), 0 if reply.prompt_logprobs else len(echoed)
                ),
                "finish_reason": reply.reason,
            }
            for index, (reply, echoed) in enumerate(zip(replies, echoes, strict=True))
        ],
        "usage": usage(answers.total(choices)),
    }


async def chunks(
    answers: ResponseStreams, model: str, choices: int, echoes: Sequence[str], with_usage: bool
) -> AsyncGenerator[bytes]:
    """Server-sent events."""
    first = head(model)

    def chunk(index: int, text: str, reason: str | None = None, logprobs: Any = None) -> bytes:
        said = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return event(first | {"choices": [said]} | ({"usage": None} if with_usage else {}))

    for index, echoed in enumerate(echoes):
        if echoed:
            yield chunk(index, echoed)
    try:
        async with aclosing(answers.events()) as arriving:
            async for index, item in arriving:
                match item:
                    case TextDelta(text):
                        yield chunk(index, text)
                    case PromptLogprobs(tokens):
                        yield chunk(index, "", logprobs=logprob_lists(tokens, 0))
                    case TokenLogprobs():
                        yield chunk(index, "", logprobs=logprob_lists([item], 0))
                    case Done(reason):
                        yield chunk(index, "", reason)
                    case ReasoningDelta():
                        continue
    except MistralrsError as error:
        yield event(errors.body(error, ""))
        return
    if with_usage:
        yield event(first | {"choices": [], "usage": usage(answers.total(choices))})
    yield event("[DONE]")


def logprob_lists(tokens: Sequence[TokenLogprobs], offset: int) -> dict[str, Any] | None:
    """Log probabilities in the older form: parallel lists."""
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(said(token.chosen))
    return {
        "tokens": [said(token.chosen) for token in tokens],
        "token_logprobs": [logprob_of(token.chosen) for token in tokens],
        "top_logprobs": [likeliest(token) for token in tokens],
        "text_offset": offsets,
    }


def said(token: ScoredToken) -> str:
    """A token as text; one that is no whole character in OpenAI's form for that, ``bytes:\\xf0\\x9f``."""
    try:
        return token.encoded.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.encoded)


def logprob_of(token: ScoredToken) -> float | None:
    """Its log probability; the first token of a prompt has none."""
    return None if math.isnan(token.logprob) else token.logprob


def likeliest(token: TokenLogprobs) -> dict[str, float] | None:
    """The likeliest tokens in a token's place and the token itself, the likelier first where two read the same."""
    if math.isnan(token.chosen.logprob):
        return None
    found: dict[str, float] = {}
    for other in (*token.likeliest, token.chosen) if token.likeliest else ():
        found.setdefault(said(other), other.logprob)
    return found
