"""``POST /v1/completions``: OpenAI's older interface, without roles and templates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import OptionError
from ...events import Done, Event, PromptLogprobs, ScoredToken, TextDelta, TokenLogprobs, collect
from ...protocol import head, usage
from ..exchange import Interface
from ..generation_request import GenerationRequest
from ..response_streams import ResponseStreams
from ..served_model import ServedModel
from .openai_chunks import OpenAIChunks
from .schemas import CompletionRequest

Prompt = str | tuple[int, ...]


def to_request(body: CompletionRequest, model: ServedModel) -> GenerationRequest:
    """What the model is asked for."""
    prompts, choices = prompts_of(body), body.n or 1
    echoes = [prompt_text(prompt, model) for prompt in prompts for _ in range(choices)] if body.echo else []
    return GenerationRequest(
        prompts=prompts,
        sampling=body.sampling(logprobs=body.logprobs is not None, top_logprobs=body.logprobs, echo=bool(body.echo)),
        choices=choices,
        echoes=tuple(echoes),
    )


def prompts_of(body: CompletionRequest) -> tuple[Prompt, ...]:
    """One prompt or several, as text or token ids."""
    if isinstance(body.prompt, str):
        return (body.prompt,)
    if not body.prompt:
        raise OptionError("prompt is empty.", "Send a text.", param="prompt")
    tokens = tuple(item for item in body.prompt if isinstance(item, int))
    if tokens:
        return (tokens,)
    return tuple(item if isinstance(item, str) else tuple(item) for item in body.prompt if not isinstance(item, int))


def prompt_text(prompt: Prompt, model: ServedModel) -> str:
    """A prompt as text. Raises ``OptionError`` for unknown token ids."""
    return prompt if isinstance(prompt, str) else model.ready().decode(prompt, special=True)


def count(body: CompletionRequest) -> int:
    """How many answers a body asks for. Raises ``OptionError`` where ``best_of`` asks for more than are returned."""
    prompts, choices = len(prompts_of(body)), body.n or 1
    if body.best_of is not None and body.best_of != choices:
        raise OptionError("best_of is not supported: every answer is returned.", "Use n.", param="best_of")
    return prompts * choices


class Completion(OpenAIChunks):
    """The response. Reasoning is no part of it."""

    def __init__(self, body: CompletionRequest, model: str, streams: ResponseStreams) -> None:
        super().__init__("text_completion", model, streams, body.stream_options)
        self._echoes = streams.request.echoes or ("",) * len(streams.streams)

    def whole(self, events: Sequence[Sequence[Event]]) -> dict[str, Any]:
        """The ``text_completion`` object."""
        replies = [collect(answer) for answer in events]
        return head("text_completion", self.model) | {
            "choices": [
                {
                    "index": index,
                    "text": echo + reply.text,
                    "logprobs": logprob_lists(
                        (*reply.prompt_logprobs, *reply.logprobs), 0 if reply.prompt_logprobs else len(echo)
                    ),
                    "finish_reason": reply.reason,
                }
                for index, (reply, echo) in enumerate(zip(replies, self._echoes, strict=True))
            ],
            "usage": usage(self.streams.total()),
        }

    def _chunk(self, index: int, text: str, reason: str | None = None, logprobs: Any = None) -> bytes:
        return self.choice_chunk({"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason})

    def begin(self) -> Iterator[bytes]:
        """The prompts, where they are repeated."""
        for index, echo in enumerate(self._echoes):
            if echo:
                yield self._chunk(index, echo)

    def chunk(self, index: int, event: Event) -> Iterator[bytes]:
        """The chunk of one event, if it makes one."""
        match event:
            case TextDelta(text):
                yield self._chunk(index, text)
            case PromptLogprobs(tokens):
                yield self._chunk(index, "", logprobs=logprob_lists(tokens, 0))
            case TokenLogprobs():
                yield self._chunk(index, "", logprobs=logprob_lists([event], 0))
            case Done(reason):
                yield self._chunk(index, "", reason)


def logprob_lists(tokens: Sequence[TokenLogprobs], offset: int) -> dict[str, Any] | None:
    """Log probabilities in the older form: parallel lists; ``offset`` is where their text begins."""
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token_text(token.chosen))
    return {
        "tokens": [token_text(token.chosen) for token in tokens],
        "token_logprobs": [logprob_of(token.chosen) for token in tokens],
        "top_logprobs": [top_logprobs(token) for token in tokens],
        "text_offset": offsets,
    }


def token_text(token: ScoredToken) -> str:
    """A token as text; one that is no whole character in OpenAI's form for that, ``bytes:\\xf0\\x9f``."""
    try:
        return token.encoded.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.encoded)


def logprob_of(token: ScoredToken) -> float | None:
    """Its log probability; the first token of a prompt has none."""
    return None if math.isnan(token.logprob) else token.logprob


def top_logprobs(token: TokenLogprobs) -> dict[str, float] | None:
    """The most likely tokens in a token's place and the token itself; of two with the same text the more likely."""
    if math.isnan(token.chosen.logprob):
        return None
    found: dict[str, float] = {}
    for other in (*token.likeliest, token.chosen) if token.likeliest else ():
        found.setdefault(token_text(other), other.logprob)
    return found


COMPLETIONS = Interface("complete", CompletionRequest, to_request, Completion, count)
