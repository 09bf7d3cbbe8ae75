"""``POST /v1/responses``: OpenAI's newer interface, over the same conversation."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import MistralrsError
from ...messages import MediaOptions, Message, Text
from ...protocol import sampling, thinking_fields, tools
from ...protocol.fields import instance, only, shown, wrong
from ...protocol.ignored_fields import ignore_field
from ...protocol.messages import message, parts, tool_call
from ..generation_request import GenerationRequest
from ..http.body import parse
from ..http.sse import EventStreamResponse, cancel_on_disconnect
from ..response_streams import ResponseStreams
from ..service import Service
from .response_output import Output
from .response_tools import Offered, model_name, offered
from .schemas import ResponsesRequest

ITEM_FIELDS = ("type", "id", "status", "phase")
CALL_FIELDS = (*ITEM_FIELDS, "call_id", "name", "namespace", "caller", "async")
LOGPROBS = "message.output_text.logprobs"


async def respond(request: Request, service: Service) -> Response:
    """Answer one request."""
    body = await parse(request, ResponsesRequest, service.options)
    service.check_model(body.model)

    def to_request() -> GenerationRequest:
        return question(body, service.media_options)

    beginning = service.begin(request, to_request)
    if body.stream:
        answers = await cancel_on_disconnect(request, beginning)
        return EventStreamResponse(chunks(answers, body, service.name), answers.close)

    async def whole() -> dict[str, Any]:
        answers = await beginning
        output = Output(body, service.name, answers.drawing)
        for item in (await answers.all_events())[0]:
            for _ in output.feed(item):
                pass
        return output.response

    return JSONResponse(await cancel_on_disconnect(request, whole()))


def question(body: ResponsesRequest, media: MediaOptions) -> GenerationRequest:
    """What to ask."""
    form = body.text.format if body.text is not None and body.text.format is not None else {"type": "text"}
    if form.get("type") == "json_schema":  # flat here, nested in chat completions
        form = {"type": "json_schema", "json_schema": {key: form[key] for key in form if key != "type"}}
    known = offered(body.tools)
    reasoning = None if body.reasoning is None else body.reasoning.model_dump(exclude_none=True)
    return GenerationRequest(
        messages=conversation(body, media, known),
        sampling=sampling(
            max_tokens=body.max_output_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            min_p=body.min_p,
            repetition_penalty=body.repetition_penalty,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            seed=body.seed,
            response_format=form,
            grammar=body.grammar,
            truncate_sequence=body.truncation == "auto",
            logprobs=wants_logprobs(body),
            top_logprobs=body.top_logprobs if wants_logprobs(body) else None,
            **thinking_fields(body.enable_thinking, reasoning=reasoning),
        ),
        tools=tools([tool.definition for tool in known.values()], body.tool_choice, body.parallel_tool_calls),
    )


def wants_logprobs(body: ResponsesRequest) -> bool:
    """Whether log probabilities of the answer are wanted, by either of two fields."""
    return bool(body.top_logprobs) or LOGPROBS in (body.include or ())


def conversation(body: ResponsesRequest, media: MediaOptions, known: Mapping[str, Offered]) -> tuple[Message, ...]:
    """The items of ``input``, with ``instructions`` before them."""
    first = () if body.instructions is None else (Message("system", (Text(body.instructions),)),)
    if isinstance(body.input, str):
        return (*first, Message("user", (Text(body.input),)))
    items = instance(body.input, list, "input")
    if not items and not first:
        raise wrong("input", "is empty.", "Say something.")
    turns: list[Message] = []
    for index, value in enumerate(items):
        turn = item(value, f"input[{index}]", media, known)
        if turn is None:
            continue
        if turn.role == "assistant" and turns and turns[-1].role == "assistant":
            last = turns.pop()
            turn = replace(
                turn,
                parts=last.parts + turn.parts,
                tool_calls=last.tool_calls + turn.tool_calls,
                reasoning=last.reasoning + turn.reasoning,
            )
        turns.append(turn)
    return (*first, *turns)


def item(value: object, place: str, media: MediaOptions, known: Mapping[str, Offered]) -> Message | None:
    """One item: a message, a call, the result of a call, or a thought. ``None`` for what a server did by itself."""
    found = instance(value, dict, place)
    kind = found.get("type", "message")
    match kind:
        case "message":
            return message({key: found[key] for key in found if key not in ITEM_FIELDS}, place, media)
        case "function_call":
            only(found, (*CALL_FIELDS, "arguments"), place)
            name = instance(found.get("name"), str, f"{place}.name")
            function = {"name": model_name(name, found.get("namespace"), known), "arguments": found.get("arguments")}
            return Message("assistant", (), (tool_call({"id": found.get("call_id"), "function": function}, place),))
        case "custom_tool_call":
            only(found, (*CALL_FIELDS, "input"), place)
            custom = {"name": found.get("name"), "input": found.get("input")}
            call = {"id": found.get("call_id"), "type": "custom", "custom": custom}
            return Message("assistant", (), (tool_call(call, place),))
        case "reasoning":
            only(found, (*ITEM_FIELDS, "summary", "content", "encrypted_content"), place)
            told = [instance(found.get(name) or [], list, f"{place}.{name}") for name in ("content", "summary")]
            texts = [instance(thought, dict, place).get("text") for thoughts in told for thought in thoughts]
            return Message("assistant", (), reasoning="".join(text for text in texts if isinstance(text, str)))
        case str() if kind.endswith("_output") and isinstance(found.get("call_id"), str):
            only(found, (*CALL_FIELDS, "output", "max_output_length"), place)
            said = found.get("output") or ""
            output = parts(said if isinstance(said, (str, list)) else json.dumps(said), f"{place}.output", media)
            return Message("tool", output, tool_call_id=found["call_id"])
        case str() if kind.endswith("_call") and isinstance(found.get("call_id"), str):
            inner = {key: found[key] for key in found if key not in CALL_FIELDS}
            function = {"name": kind.removesuffix("_call"), "arguments": inner}
            return Message("assistant", (), (tool_call({"id": found["call_id"], "function": function}, place),))
        case str() if kind.endswith(("_call", "_output", "_list_tools")) or kind in (
            "compaction",
            "compaction_summary",
        ):
            ignore_field(
                f"{place}.type", f"is {shown(kind)}; only a server that made it can read it.", note=f"input:{kind}"
            )
            return None
    raise wrong(
        f"{place}.type",
        f"is {shown(kind)}.",
        "Items are message, function_call, function_call_output, custom_tool_call and reasoning.",
    )


async def chunks(answers: ResponseStreams, body: ResponsesRequest, model: str) -> AsyncGenerator[bytes]:
    """Server-sent events, each with its name."""
    output = Output(body, model, answers.drawing)
    for told in output.begin():
        yield told
    try:
        async with aclosing(answers.events()) as arriving:
            async for _, happened in arriving:
                for told in output.feed(happened):
                    yield told
    except MistralrsError as error:
        for told in output.fail(error):
            yield told
