"""What is asked: the fields of the original, in its order, then those beyond it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..options import Sampling, Tools
from ..protocol import sampling, tools
from .enums import ToolChoice
from .problems import RequestError, refuse_unknown


@dataclass
class ChatCompletionRequest:
    """A conversation and how to answer it.

    ``messages`` is a text, or OpenAI's list of messages. ``images``, ``audios`` and ``videos`` go before the words of
    the last message by the user: PIL images, bytes, paths, ``(samples, rate)``, frames.
    """

    messages: str | Sequence[Mapping[str, Any]]
    model: str = "default"
    logprobs: bool = False
    n_choices: int = 1
    logit_bias: Mapping[int, float] | None = None
    top_logprobs: int | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop_seqs: Sequence[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: bool = False
    grammar: str | None = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: Sequence[str | Mapping[str, Any]] | None = None
    tool_choice: ToolChoice | str | Mapping[str, Any] | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: Sequence[str] | None = None
    web_search_options: Any = None
    enable_thinking: bool | None = None
    truncate_sequence: bool = False
    reasoning_effort: str | None = None
    ignore_eos: bool = False
    seed: int | None = field(default=None, kw_only=True)
    response_format: Mapping[str, Any] | None = field(default=None, kw_only=True)
    chat_template_kwargs: Mapping[str, Any] | None = field(default=None, kw_only=True)
    images: Sequence[Any] = field(default=(), kw_only=True)
    audios: Sequence[Any] = field(default=(), kw_only=True)
    videos: Sequence[Any] = field(default=(), kw_only=True)

    @property
    def fields(self) -> dict[str, Any]:
        """What says how to answer, under OpenAI's names; only what is given."""
        refuse_unknown(self, ("web_search_options",))
        given = {
            "logprobs": self.logprobs or None,
            "top_logprobs": self.top_logprobs,
            "logit_bias": bias(self.logit_bias),
            "response_format": self.response_format,
            "enable_thinking": self.enable_thinking,
            "reasoning_effort": self.reasoning_effort,
            "chat_template_kwargs": self.chat_template_kwargs,
            **drawing(self),
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return sampling(**self.fields)

    @property
    def tools(self) -> Tools | None:
        """The functions that may be called."""
        return tools(self.tool_definitions, self.tool_choice_value)

    @property
    def tool_definitions(self) -> list[Any] | None:
        """The functions, from JSON texts or objects; a bare function is wrapped."""
        found = [json.loads(schema) if isinstance(schema, str) else dict(schema) for schema in self.tool_schemas or ()]
        return [tool if "function" in tool else {"type": "function", "function": tool} for tool in found] or None

    @property
    def tool_choice_value(self) -> Any:
        """The choice in OpenAI's words."""
        return self.tool_choice.value if isinstance(self.tool_choice, ToolChoice) else self.tool_choice


@dataclass
class CompletionRequest:
    """A text to go on with, without a chat template."""

    prompt: str
    model: str = "default"
    best_of: int | None = None
    echo_prompt: bool = False
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    max_tokens: int | None = None
    n_choices: int = 1
    stop_seqs: Sequence[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    suffix: str | None = None
    top_k: int | None = None
    grammar: str | None = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: Any = None
    tool_choice: Any = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: Sequence[str] | None = None
    truncate_sequence: bool = False
    repetition_penalty: float | None = field(default=None, kw_only=True)
    ignore_eos: bool = field(default=False, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)

    @property
    def fields(self) -> dict[str, Any]:
        """What says how to answer, under OpenAI's names; only what is given."""
        refuse_unknown(self, ("best_of", "suffix", "tool_schemas", "tool_choice"))
        given = {"logit_bias": bias(self.logit_bias), **drawing(self)}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return sampling(**self.fields)


def drawing(request: ChatCompletionRequest | CompletionRequest) -> dict[str, Any]:
    """The fields that both requests have."""
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "repetition_penalty": request.repetition_penalty,
        "stop": None if request.stop_seqs is None else list(request.stop_seqs),
        "seed": request.seed,
        "grammar": grammar(request.grammar, request.grammar_type),
        "dry_multiplier": request.dry_multiplier,
        "dry_base": request.dry_base,
        "dry_allowed_length": request.dry_allowed_length,
        "dry_sequence_breakers": request.dry_sequence_breakers,
        "ignore_eos": request.ignore_eos or None,
        "truncate_sequence": request.truncate_sequence or None,
    }


def grammar(value: str | None, kind: str | None) -> dict[str, str] | None:
    """A grammar and its type, which come together."""
    if (value is None) != (kind is None):
        raise RequestError("grammar and grammar_type belong together.\nGive both: grammar_type is regex, lark, …")
    return None if value is None or kind is None else {"type": kind, "value": value}


def bias(value: Mapping[int, float] | None) -> dict[str, float] | None:
    """Token ids as JSON's names."""
    return None if value is None else {str(token): amount for token, amount in value.items()}
