"""Requests: the parameters of the original, in its order, then those beyond it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from ..media.from_python import is_file, separate
from ..messages import Modality
from ..options import Sampling, Tools
from ..protocol import sampling, tools
from .enums import ToolChoice
from .parts import with_media
from .problems import RequestError, refuse_halves, refuse_unknown
from .request_fields import bias, breakers, functions, given_fields, grammar, response_format, stops, turns
from .values import several

Streaming = TypeVar("Streaming", Literal[False], Literal[True], bool, default=Literal[False])
"""The type of ``stream``: it decides whether a type checker sees a response or chunks."""


class Given:
    """A request that may be sent again, and that shows what it was given and no more."""

    def __post_init__(self) -> None:
        """Keep what can be gone through only once."""
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if isinstance(value, Iterator) and not is_file(value):
                setattr(self, each.name, list(value))

    def __repr__(self) -> str:
        short = reprlib.Repr()
        short.maxstring = short.maxother = 60
        first, *rest = fields(self)  # type: ignore[arg-type]
        shown = [short.repr(getattr(self, first.name))]
        for each in rest:
            value = getattr(self, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if value is not default and not (type(value) is type(default) and value == default):
                shown.append(f"{each.name}={short.repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(repr=False)
class ChatCompletionRequest(Given, Generic[Streaming]):
    """A conversation and how to answer it.

    ``messages`` is a text, or OpenAI's list of messages. ``images``, ``audios`` and ``videos`` go before the words of
    the last message by the user: PIL images, bytes, paths, open files, arrays, ``(samples, rate)``, frames. Where a
    list is meant, a single value will do. ``stop`` is another name of ``stop_seqs``.

    ``response_format`` and ``grammar`` take a class, too: a pydantic model, a dataclass, ``list[str]``.

    >>> ChatCompletionRequest("What is this?", images="red_circle.png", max_tokens=20)
    ChatCompletionRequest('What is this?', max_tokens=20, images='red_circle.png')
    """

    messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any] | Any]
    model: str = "default"
    logprobs: bool = False
    n_choices: int = 1
    logit_bias: Mapping[int, float] | None = None
    top_logprobs: int | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop_seqs: str | Sequence[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: Streaming = False  # type: ignore[assignment]
    grammar: Any = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: Any = None
    tool_choice: ToolChoice | str | Mapping[str, Any] | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: str | Sequence[str] | None = None
    web_search_options: Any = None
    enable_thinking: bool | None = None
    truncate_sequence: bool = False
    reasoning_effort: str | None = None
    ignore_eos: bool = False
    seed: int | None = field(default=None, kw_only=True)
    response_format: Any = field(default=None, kw_only=True)
    chat_template_kwargs: Mapping[str, Any] | None = field(default=None, kw_only=True)
    images: Any = field(default=(), kw_only=True)
    audios: Any = field(default=(), kw_only=True)
    videos: Any = field(default=(), kw_only=True)
    stop: str | Sequence[str] | None = field(default=None, kw_only=True)

    @property
    def conversation(self) -> Any:
        """The messages, with the media beside them before the words of the last one by the user."""
        kinds: tuple[tuple[Modality, object], ...] = (
            ("image", self.images),
            ("audio", self.audios),
            ("video", self.videos),
        )
        beside = [(kind, each) for kind, given in kinds for each in separate(given, kind)]
        for kind, each in beside:
            if each is None:
                raise RequestError(f"{kind}s holds None.\nLeave it out.")
        found = with_media(turns(self.messages), beside)
        refuse_halves(found, "messages")
        return found

    @property
    def fields(self) -> dict[str, Any]:
        """What says how to answer, under OpenAI's names; only what is given."""
        refuse_unknown(self, ("web_search_options",))
        given = {
            "logprobs": self.logprobs or None,
            "top_logprobs": self.top_logprobs,
            "logit_bias": bias(self.logit_bias),
            "response_format": response_format(self.response_format),
            "enable_thinking": self.enable_thinking,
            "reasoning_effort": self.reasoning_effort,
            "chat_template_kwargs": self.chat_template_kwargs,
            **sampling_fields(self),
        }
        return given_fields(given)

    @property
    def sampling(self) -> Sampling:
        """How tokens are sampled."""
        return sampling(**self.fields)

    @property
    def tools(self) -> Tools | None:
        """The functions that may be called."""
        return tools(self.tool_definitions, self.tool_choice_value)

    @property
    def tool_definitions(self) -> list[Any] | None:
        """The functions, from JSON texts, objects or pydantic models; a bare function is wrapped."""
        found = [tool for given in several(self.tool_schemas) for tool in functions(given)]
        refuse_halves(found, "tool_schemas")
        return [tool if "function" in tool else {"type": "function", "function": tool} for tool in found] or None

    @property
    def tool_choice_value(self) -> Any:
        """The choice in OpenAI's words."""
        return self.tool_choice.value if isinstance(self.tool_choice, ToolChoice) else self.tool_choice


@dataclass(repr=False)
class CompletionRequest(Given):
    """A text to go on with, without a chat template.

    >>> CompletionRequest("A red", max_tokens=2)
    CompletionRequest('A red', max_tokens=2)
    """

    prompt: str
    model: str = "default"
    best_of: int | None = None
    echo_prompt: bool = False
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    max_tokens: int | None = None
    n_choices: int = 1
    stop_seqs: str | Sequence[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    suffix: str | None = None
    top_k: int | None = None
    grammar: Any = None
    grammar_type: str | None = None
    min_p: float | None = None
    tool_schemas: Any = None
    tool_choice: Any = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: str | Sequence[str] | None = None
    truncate_sequence: bool = False
    repetition_penalty: float | None = field(default=None, kw_only=True)
    ignore_eos: bool = field(default=False, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    stop: str | Sequence[str] | None = field(default=None, kw_only=True)

    @property
    def fields(self) -> dict[str, Any]:
        """What says how to answer, under OpenAI's names; only what is given."""
        refuse_unknown(self, ("best_of", "suffix", "tool_schemas", "tool_choice"))
        return given_fields({"logit_bias": bias(self.logit_bias), **sampling_fields(self)})

    @property
    def sampling(self) -> Sampling:
        """How tokens are sampled."""
        return sampling(**self.fields)


def sampling_fields(request: ChatCompletionRequest[Any] | CompletionRequest) -> dict[str, Any]:
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
        "stop": stops(request.stop_seqs, request.stop),
        "seed": request.seed,
        "grammar": grammar(request.grammar, request.grammar_type),
        "dry_multiplier": request.dry_multiplier,
        "dry_base": request.dry_base,
        "dry_allowed_length": request.dry_allowed_length,
        "dry_sequence_breakers": breakers(request.dry_sequence_breakers),
        "ignore_eos": request.ignore_eos or None,
        "truncate_sequence": request.truncate_sequence or None,
    }


def of_kind(request: Any, kind: type[Any]) -> None:
    """Raise ``ValueError`` for what is not a request of that kind."""
    if not isinstance(request, kind):
        shown = "" if not isinstance(request, str) else repr(request)[:40]
        raise RequestError(
            f"A {type(request).__name__} is not a {kind.__name__}.\nWrite {kind.__name__}({shown or '…'}) instead."
        )
