"""What comes back, as attributes. ``from_json`` makes them, of an answer here and of a server's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, overload

from .forms import parsed

Form = TypeVar("Form")
CUT = ("length", "canceled")


class Dumped:
    """A part of a response that can be written down as plain values."""

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """The same as dictionaries, lists, texts and numbers, under OpenAI's names.

        >>> Delta("Hello").model_dump(exclude_none=True)
        {'content': 'Hello', 'role': 'assistant'}
        """
        found: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return without_none(found) if exclude_none else found

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """``model_dump`` as JSON text.

        >>> Delta("é").model_dump_json(exclude_none=True)
        '{"content": "é", "role": "assistant"}'
        """
        return json.dumps(self.model_dump(exclude_none=exclude_none), ensure_ascii=False, indent=indent)


def without_none(value: Any) -> Any:
    """A value of JSON's without the fields that are null."""
    if isinstance(value, dict):
        return {name: without_none(each) for name, each in value.items() if each is not None}
    return [without_none(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Usage(Dumped):
    """Token counts, seconds and tokens per second of one answer.

    >>> usage = runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=2)).usage
    >>> usage.completion_tokens, usage.total_tokens == usage.prompt_tokens + 2
    (2, True)
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    avg_tok_per_sec: float
    avg_prompt_tok_per_sec: float
    avg_compl_tok_per_sec: float
    total_time_sec: float
    total_prompt_time_sec: float
    total_completion_time_sec: float
    prompt_tokens_details: dict[str, int] = field(default_factory=dict)
    completion_tokens_details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CalledFunction(Dumped):
    """The function a model wants called; ``arguments`` is the text of a JSON object."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolCallResponse(Dumped):
    """A call the model wants made."""

    id: str
    type: str
    function: CalledFunction


@dataclass(frozen=True)
class TopLogprob(Dumped):
    """One of the likeliest tokens in a place."""

    token: str
    logprob: float
    bytes: list[int]


@dataclass(frozen=True)
class ResponseLogprob(Dumped):
    """A token of the answer, its log probability (natural logarithm), and the likeliest ones in its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


@dataclass(frozen=True)
class Logprobs(Dumped):
    """The log probabilities of an answer's tokens."""

    content: list[ResponseLogprob]


@dataclass(frozen=True)
class ResponseMessage(Dumped):
    """The model's message; it may be put into the next request's messages as it is.

    >>> message = runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=2)).choices[0].message
    >>> message.role
    'assistant'
    """

    content: str | None
    role: str
    tool_calls: list[ToolCallResponse] | None = None
    reasoning_content: str | None = None


@dataclass(frozen=True)
class ResponseBox(Dumped):
    """A box in whole pixels of the upright original: left, top, right and bottom edge.

    ``media`` counts the media of the request from 0. ``time`` is a video's, in seconds.

    >>> ResponseBox("cat", [10, 20, 110, 220], 0, "cat.jpg").box
    [10, 20, 110, 220]
    """

    label: str
    box: list[int]
    media: int
    source: str
    time: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class ResponsePoint(Dumped):
    """A point in whole pixels of the upright original, from its left and upper edge; the rest is as in ``ResponseBox``.

    >>> ResponsePoint("nose", [60, 80], 0, "cat.jpg").point
    [60, 80]
    """

    label: str
    point: list[int]
    media: int
    source: str
    time: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Choice(Dumped):
    """One answer. ``finish_reason`` is ``stop``, ``length``, ``canceled`` or ``tool_calls``.

    ``boxes`` and ``points`` are those that the model marked in its images.

    >>> choice = runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=1)).choices[0]
    >>> choice.finish_reason, choice.cut
    ('length', True)
    """

    finish_reason: str
    index: int
    message: ResponseMessage
    logprobs: Logprobs | None = None
    boxes: list[ResponseBox] = field(default_factory=list)
    points: list[ResponsePoint] = field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Whether the answer was ended before the model did: JSON or another form is then not whole."""
        return self.finish_reason in CUT


@dataclass(frozen=True)
class ChatCompletionResponse(Dumped):
    """The answer to a chat request.

    >>> answer = runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=8))
    >>> answer.text == answer.choices[0].message.content
    True
    """

    id: str
    choices: list[Choice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage

    @property
    def text(self) -> str:
        """The words of the first answer; empty where it only calls functions."""
        return self.choices[0].message.content or ""

    @property
    def boxes(self) -> list[ResponseBox]:
        """The boxes of the first answer."""
        return self.choices[0].boxes

    @property
    def points(self) -> list[ResponsePoint]:
        """The points of the first answer."""
        return self.choices[0].points

    @overload
    def parse(self) -> Any: ...
    @overload
    def parse(self, form: type[Form]) -> Form: ...
    def parse(self, form: Any = None) -> Any:
        """The JSON of the first answer: as plain values, or as an instance of a class.

        Raises ``AnswerCut`` where the answer ended at ``max_tokens``, and ``RuntimeError`` where it is not JSON.

        >>> request = ChatCompletionRequest("Yes or no?", response_format=bool, temperature=0)
        >>> runner.send_chat_completion_request(request).parse() in (True, False)
        True
        """
        return parsed(self.text, form, self.choices[0].finish_reason)


@dataclass(frozen=True)
class Delta(Dumped):
    """More of an answer.

    >>> Delta("Hel").content
    'Hel'
    """

    content: str | None = None
    role: str = "assistant"
    tool_calls: list[ToolCallResponse] | None = None
    reasoning_content: str | None = None


@dataclass(frozen=True)
class ChunkChoice(Dumped):
    """What one answer gained; ``finish_reason``, and the ``boxes`` and ``points`` of it all, come with the last.

    >>> with runner.send_chat_completion_request(ChatCompletionRequest("Hello", stream=True)) as chunks:
    ...     next(chunks).choices[0].finish_reason is None
    True
    """

    finish_reason: str | None
    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    boxes: list[ResponseBox] = field(default_factory=list)
    points: list[ResponsePoint] = field(default_factory=list)


@dataclass(frozen=True)
class ChatCompletionChunkResponse(Dumped):
    """A piece of a streamed answer; the last one carries the usage.

    >>> chunks = list(runner.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=3, stream=True)))
    >>> chunks[0].usage, chunks[-1].usage.completion_tokens
    (None, 3)
    """

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """The words that came with this chunk, perhaps none."""
        return "".join(choice.delta.content or "" for choice in self.choices)


@dataclass(frozen=True)
class CompletionChoice(Dumped):
    """One continuation of a text.

    >>> runner.send_completion_request(CompletionRequest("A red", max_tokens=2)).choices[0].index
    0
    """

    finish_reason: str
    index: int
    text: str
    logprobs: Any = None

    @property
    def cut(self) -> bool:
        """Whether the text was ended before the model did."""
        return self.finish_reason in CUT


@dataclass(frozen=True)
class CompletionResponse(Dumped):
    """The answer to a completion request.

    >>> answer = runner.send_completion_request(CompletionRequest("A red", max_tokens=2, echo_prompt=True))
    >>> answer.text.startswith("A red")
    True
    """

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    system_fingerprint: str
    object: str
    usage: Usage

    @property
    def text(self) -> str:
        """The first continuation."""
        return self.choices[0].text
