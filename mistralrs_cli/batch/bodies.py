"""Lines of JSON that hold a whole request: OpenAI's batch lines, a request's body, or its messages alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..errors import OptionError
from ..messages import MediaOptions, Message
from ..options import Sampling, Tools
from ..protocol import conversation, sampling, thinking_fields, tools
from ..protocol.fields import instance, shown, wrong
from ..protocol.ignored_fields import without_empty

PATH = "/v1/chat/completions"
OURS = {"echo", "turn", "thinking_hint"}
SAMPLING = set(inspect.signature(sampling).parameters) - OURS
THINKING = ("enable_thinking", "reasoning_effort", "thinking_budget", "thinking", "reasoning")
TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
ONE_ANSWER = {"n": (1,), "stream": (False,)}
"""Fields that a batch takes with this value alone."""
WITHOUT_EFFECT = {"model", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
KNOWN = {"messages", *SAMPLING, *THINKING, *TOOLS, *ONE_ANSWER, *WITHOUT_EFFECT}
Request = tuple[tuple[Message, ...], Sampling, Tools | None]


def is_batch_line(value: Any) -> bool:
    """Whether a line is one of OpenAI's batch files."""
    return isinstance(value, Mapping) and "custom_id" in value and "body" in value


def envelope(value: Mapping[str, Any], path: str = PATH) -> tuple[str, dict[str, Any]]:
    """The ``custom_id`` and the body of a line of OpenAI's batch files. Raises ``OptionError``."""
    name: str = instance(value["custom_id"], str, "custom_id")
    if value.get("method", "POST") != "POST":
        raise wrong("method", f"is {shown(value['method'])}.", "Use POST.")
    if value.get("url", path) not in (path, path.removeprefix("/v1")):
        raise wrong("url", f"is {shown(value['url'])}.", f"Use {path}.")
    body: dict[str, Any] = instance(value["body"], dict, "body")
    return name, body


def batch_line(value: Mapping[str, Any], options: MediaOptions) -> Request:
    """What a line of OpenAI's batch files asks. Raises ``OptionError`` and ``MediaDecodeError``."""
    return request(envelope(value)[1], options)


def request(value: Any, options: MediaOptions) -> Request:
    """A request's body, or a list of messages. Raises ``OptionError`` and ``MediaDecodeError``."""
    if isinstance(value, list):
        return conversation(value, options), Sampling(), None
    body: dict[str, Any] = without_empty(value, ("messages",))
    for name, given in body.items():
        if name not in KNOWN:
            raise wrong(name, "is not a field known here.", "Leave it out.")
        if name in ONE_ANSWER and given not in ONE_ANSWER[name]:
            raise wrong(name, f"is {shown(given)}.", "Each row has one answer, which comes whole.")
    given = {name: body[name] for name in SAMPLING & body.keys()}
    check_types(given)
    thinking = thinking_fields(*(body.get(name) for name in THINKING))
    return (
        conversation(body.get("messages"), options),
        sampling(**given | thinking),
        tools(*(body.get(name) for name in TOOLS)),
    )


NUMBERS = {
    *("temperature", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"),
    *("dry_multiplier", "dry_base"),
}
COUNTS = {"max_tokens", "max_completion_tokens", "top_k", "seed", "top_logprobs", "dry_allowed_length"}


def check_types(given: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` for numbers that are none. Their ranges are the engine's to check."""
    for name, value in given.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in NUMBERS and not number:
            raise wrong(name, f"must be a number, not {shown(value)}.")
        if name in COUNTS and not (number and isinstance(value, int)):
            raise wrong(name, f"must be a whole number, not {shown(value)}.")


def over(run: Sampling, own: Sampling | None) -> Sampling:
    """The sampling of a run with what a row asks for itself. Raises ``OptionError`` for two constraints."""
    if own is None:
        return run
    if run.grammar is not None and own.grammar is not None:
        raise OptionError("The row has a response_format, and the run a schema.", "Leave one out.")
    plain = Sampling()
    changed = {one.name: getattr(own, one.name) for one in fields(Sampling)}
    given = {name: value for name, value in changed.items() if value != getattr(plain, name)}
    return Sampling(**{one.name: getattr(run, one.name) for one in fields(Sampling)} | given)
