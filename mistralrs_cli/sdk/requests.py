"""What is asked: the fields of the original, in its order, then those beyond it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from ..media.from_python import is_file, is_number, separate
from ..messages import Modality
from ..options import Sampling, Tools
from ..protocol import sampling, tools
from ..protocol.sampling import GRAMMARS
from .enums import ToolChoice
from .forms import is_form, named, schema_of
from .parts import with_media
from .problems import RequestError, refuse_halves, refuse_unknown
from .values import NUMBERS, instance, number, several

Streaming = TypeVar("Streaming", Literal[False], Literal[True], bool, default=Literal[False])
"""The type of ``stream``: it decides whether a type checker sees a response or chunks."""

JSON_SCHEMA = "json_schema"
DICTIONARIES = ("response_format", "chat_template_kwargs")


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
        said = [short.repr(getattr(self, first.name))]
        for each in rest:
            value = getattr(self, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if value is not default and not (type(value) is type(default) and value == default):
                said.append(f"{each.name}={short.repr(value)}")
        return f"{type(self).__name__}({', '.join(said)})"


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
            **drawing(self),
        }
        return given_fields(given)

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
        return given_fields({"logit_bias": bias(self.logit_bias), **drawing(self)})

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return sampling(**self.fields)


def given_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given. Raises ``ValueError`` for text that is none."""
    found = {name: value for name, value in fields.items() if value is not None}
    for name, value in found.items():
        refuse_halves(value, name)
        if name in NUMBERS:
            found[name] = number(value, name)
        elif name in DICTIONARIES:
            found[name] = instance(value, Mapping, name)
    return found


def drawing(request: ChatCompletionRequest[Any] | CompletionRequest) -> dict[str, Any]:
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


def turns(messages: Any) -> Any:
    """Messages as lists and dictionaries: a single one, answers as they came, and content that is one value."""
    if messages is None or isinstance(messages, str):
        return messages
    found = []
    for turn in several(messages):
        turn = turn.model_dump(exclude_none=True) if hasattr(turn, "model_dump") else turn
        if isinstance(turn, Mapping):
            turn = dict(turn)
            content = turn.get("content")
            if isinstance(content, tuple) and not any(is_number(each) for each in content):
                turn["content"] = list(content)
            elif content is not None and not isinstance(content, (str, list)):
                turn["content"] = [content]
        found.append(turn)
    return found


def stops(one: str | Sequence[str] | None, other: str | Sequence[str] | None) -> list[str] | None:
    """The stop strings under either name."""
    if one is None and other is None:
        return None
    first, second = several(one), several(other)
    if first and second and first != second:
        raise RequestError("stop and stop_seqs are two names of one thing.\nGive one of them.")
    found = first or second
    return [instance(each, str, "stop") for each in found]


def breakers(given: str | Sequence[str] | None) -> list[str] | None:
    """The texts that a repetition does not reach over."""
    return None if given is None else [instance(each, str, "dry_sequence_breakers") for each in several(given)]


def functions(given: Any) -> list[dict[str, Any]]:
    """The functions in one of ``tool_schemas``: a dictionary, a JSON text of one or of a list, a pydantic model."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise RequestError(f"tool_schemas: {given!r:.60} is not JSON.\nCheck its commas and quotes.") from error
        return [tool for each in (given if isinstance(given, list) else [given]) for tool in functions(each)]
    if is_form(given):
        schema = schema_of(given)
        return [{"name": named(given), "description": schema.pop("description", ""), "parameters": schema}]
    if not isinstance(given, Mapping):
        raise RequestError(f"tool_schemas holds a {type(given).__name__}.\nGive dictionaries, JSON or pydantic models.")
    return [dict(given)]


def response_format(given: Any) -> Any:
    """OpenAI's ``response_format``, also from a class."""
    if not is_form(given):
        return given
    name = "".join(letter if letter.isalnum() else "_" for letter in named(given))
    return {"type": JSON_SCHEMA, JSON_SCHEMA: {"name": name, "schema": schema_of(given), "strict": True}}


def grammar(value: Any, kind: str | None) -> dict[str, str] | None:
    """A grammar and its type, which come together; a class or a dictionary is a JSON schema."""
    if is_form(value):
        value = schema_of(value)
    if isinstance(value, Mapping):
        value, kind = json.dumps(value), kind or JSON_SCHEMA
    if value is None and kind is None:
        return None
    if value is None or kind is None:
        raise RequestError(
            f"grammar and grammar_type belong together.\nGive both: grammar_type is {' or '.join(GRAMMARS)}."
        )
    if kind not in GRAMMARS:
        raise RequestError(f"grammar_type is {kind!r:.40}.\nUse {' or '.join(GRAMMARS)}.")
    if not isinstance(value, str):
        raise RequestError(f"grammar is {value!r:.40}.\nGive it as text; a JSON schema may be a dictionary or a class.")
    refuse_halves(value, "grammar")
    return {"type": kind, "value": value}


def bias(value: Mapping[int, float] | None) -> dict[str, float] | None:
    """Token ids as JSON's names."""
    return None if value is None else {str(token): number(amount, "logit_bias") for token, amount in value.items()}


def of_kind(request: Any, kind: type[Any]) -> None:
    """Raise ``ValueError`` for what is not a request of that kind."""
    if not isinstance(request, kind):
        shown = "" if not isinstance(request, str) else repr(request)[:40]
        raise RequestError(
            f"A {type(request).__name__} is not a {kind.__name__}.\nWrite {kind.__name__}({shown or '…'}) instead."
        )
