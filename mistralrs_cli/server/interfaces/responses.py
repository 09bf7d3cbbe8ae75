"""``POST /v1/responses``: OpenAI's newer interface."""

from __future__ import annotations

from ...protocol import sampling, thinking_fields, tools
from ..exchange import Interface
from ..generation_request import GenerationRequest
from ..served_model import ServedModel
from .response_input import conversation
from .response_output import ResponseOutput
from .response_tools import response_tools
from .schemas import ResponsesRequest

LOGPROBS = "message.output_text.logprobs"


def to_request(body: ResponsesRequest, model: ServedModel) -> GenerationRequest:
    """What the model is asked for."""
    form = body.text.format if body.text is not None and body.text.format is not None else {"type": "text"}
    if form.get("type") == "json_schema":  # flat here, nested in chat completions
        form = {"type": "json_schema", "json_schema": {key: form[key] for key in form if key != "type"}}
    offered = response_tools(body.tools)
    reasoning = None if body.reasoning is None else body.reasoning.model_dump(exclude_none=True)
    return GenerationRequest(
        messages=conversation(body, model.media_options, offered),
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
        tools=tools([tool.definition for tool in offered.values()], body.tool_choice, body.parallel_tool_calls),
    )


def wants_logprobs(body: ResponsesRequest) -> bool:
    """Whether either of two fields asks for log probabilities."""
    return bool(body.top_logprobs) or LOGPROBS in (body.include or ())


RESPONSES = Interface("respond", ResponsesRequest, to_request, ResponseOutput)
