"""``POST /v1/chat/completions``: OpenAI's chat, whole or as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import OptionError
from ...events import Event, collect
from ...options import Turn
from ...protocol import ChunkChoices, choice, conversation, head, thinking_fields, tools, usage
from ...protocol.tools import custom_names
from ..exchange import Interface
from ..generation_request import GenerationRequest
from ..response_streams import ResponseStreams
from ..served_model import ServedModel
from .openai_chunks import OpenAIChunks
from .schemas import ChatRequest


def to_request(body: ChatRequest, model: ServedModel) -> GenerationRequest:
    """What the model is asked for."""
    return GenerationRequest(
        messages=conversation(body.messages, model.media_options),
        sampling=body.sampling(
            max_completion_tokens=body.max_completion_tokens,
            logprobs=body.logprobs,
            top_logprobs=body.top_logprobs,
            chat_template_kwargs=body.chat_template_kwargs,
            turn=last_turn(body.continue_final_message, body.add_generation_prompt),
            **thinking_fields(
                body.enable_thinking, body.reasoning_effort, body.thinking_budget, body.thinking, body.reasoning
            ),
        ),
        tools=tools(body.tools, body.tool_choice, body.parallel_tool_calls),
        choices=body.n or 1,
    )


def last_turn(continued: bool | None, prompted: bool | None) -> Turn:
    """How the prompt ends, from ``continue_final_message`` and ``add_generation_prompt``."""
    if continued and prompted:
        raise OptionError(
            "continue_final_message and add_generation_prompt exclude each other.",
            "Leave one out.",
            param="continue_final_message",
        )
    if continued:
        return "open"
    return "closed" if prompted is False else "new"


class ChatCompletion(OpenAIChunks):
    """The response. A stream has the role of each choice, then deltas."""

    def __init__(self, body: ChatRequest, model: str, streams: ResponseStreams) -> None:
        super().__init__("chat.completion.chunk", model, streams, body.stream_options)
        self._customs = custom_names(body.tools)
        self._choices = [ChunkChoices(index, self._customs) for index in range(len(streams.streams))]

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any]:
        """The ``chat.completion`` object."""
        return head("chat.completion", self.model) | {
            "choices": [choice(index, collect(answer), self._customs) for index, answer in enumerate(events)],
            "usage": usage(self.streams.total()),
        }

    def begin(self) -> Iterator[bytes]:
        """The role of each choice."""
        for one in self._choices:
            yield self.choice_chunk(one.piece({"role": "assistant", "content": ""}))

    def chunk(self, index: int, event: Event) -> Iterator[bytes]:
        """The delta of one event, if it makes one."""
        yield from map(self.choice_chunk, self._choices[index].of(event))


CHAT = Interface("chat", ChatRequest, to_request, ChatCompletion, lambda body: body.n or 1)
