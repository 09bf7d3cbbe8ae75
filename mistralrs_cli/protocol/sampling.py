"""``Sampling`` from the fields of OpenAI and mistral.rs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..options import Dry, Grammar, Sampling, Turn
from .fields import instance, only, shown, wrong

GRAMMARS = ("regex", "json_schema", "lark", "llguidance")
EFFORTS = ("off", "none", "minimal", "low", "medium", "high", "xhigh", "max")
NO_LIMIT = -1  # what several clients write for one that is not set
MOST_STOPS = 32
MOST_LOGPROBS = 20
MOST_DIGITS = 18
ANY_JSON: dict[str, Any] = {"type": "object"}


def sampling(
    *,
    max_tokens: int | None = None,
    max_completion_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    logit_bias: Mapping[str, float] | None = None,
    response_format: Mapping[str, Any] | None = None,
    grammar: Mapping[str, Any] | None = None,
    dry_multiplier: float | None = None,
    dry_base: float | None = None,
    dry_allowed_length: int | None = None,
    dry_sequence_breakers: Sequence[str] | None = None,
    enable_thinking: bool | None = None,
    reasoning_effort: str | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    ignore_eos: bool | None = None,
    truncate_sequence: bool | None = None,
    thinking_budget: int | None = None,
    thinking_hint: bool = False,
    echo: bool = False,
    turn: Turn = "new",
) -> Sampling:
    """The fields of a request as ``Sampling``; ``None`` is a field that was not given.

    Raises ``OptionError`` with ``param`` for values that make no sense together or by themselves. Ranges of numbers
    are the engine's to check.
    """
    limits = {limit for limit in (max_tokens, max_completion_tokens) if limit not in (None, NO_LIMIT)}
    if len(limits) > 1:
        raise wrong("max_completion_tokens", "differs from max_tokens; they mean the same.")
    longest = limits.pop() if limits else None
    least = 0 if echo else 1
    if longest is not None and longest < least:
        raise wrong("max_tokens", f"must be at least {least}, or -1 for no limit, not {longest}.")
    return Sampling(
        max_tokens=longest,
        temperature=temperature,
        top_k=None if top_k is None else max(top_k, 0),  # -1 is off in several clients
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        frequency_penalty=frequency_penalty,
        presence_penalty=presence_penalty,
        stop=stops(stop),
        seed=seed,
        grammar=constraint(response_format, grammar),
        ignore_eos=bool(ignore_eos),
        thinking=thinking(enable_thinking, reasoning_effort),
        reasoning_effort=reasoning_effort if reasoning_effort not in ("off", "none") else None,
        template_kwargs=dict(chat_template_kwargs or {}),
        logprobs=top_logprobs_of(logprobs, top_logprobs),
        logit_bias=biases(logit_bias),
        dry=dry(dry_multiplier, dry_base, dry_allowed_length, dry_sequence_breakers),
        truncate=bool(truncate_sequence),
        echo=echo,
        thinking_budget=thinking_budget,
        thinking_hint=thinking_hint,
        turn=turn,
    )


def stops(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Stop strings, one or several."""
    found = (value,) if isinstance(value, str) else tuple(value or ())
    if len(found) > MOST_STOPS:
        raise wrong("stop", f"holds {len(found)} texts; {MOST_STOPS} is the most.")
    if "" in found:
        raise wrong("stop", "holds an empty text.", "Leave it out.")
    return found


def thinking(enable: bool | None, effort: str | None) -> bool | None:
    """Whether to think, by either of two fields."""
    if effort is None:
        return enable
    if effort not in EFFORTS:
        raise wrong("reasoning_effort", f"is {shown(effort)}.", f"Use {', '.join(EFFORTS)}.")
    wanted = effort not in ("off", "none")
    if enable is not None and enable != wanted:
        raise wrong("reasoning_effort", f"is {effort!r}, which contradicts enable_thinking.")
    return wanted


def top_logprobs_of(logprobs: bool | None, top: int | None) -> int | None:
    """How many of the most likely tokens to return with each token."""
    if top is None:
        return 0 if logprobs else None
    if not logprobs:
        raise wrong("top_logprobs", "needs logprobs: true.")
    if not 0 <= top <= MOST_LOGPROBS:
        raise wrong("top_logprobs", f"must be from 0 to {MOST_LOGPROBS}, not {top}.")
    return top


def biases(value: Mapping[str, float] | None) -> tuple[tuple[int, float], ...]:
    """Token ids and what to add to their scores."""
    found = []
    for token, bias in (value or {}).items():
        token = str(token)
        place = f"logit_bias.{token}"
        if not (token.isascii() and token.isdecimal() and len(token) <= MOST_DIGITS):
            raise wrong("logit_bias", f"has {shown(token)} for a token id.", "Use /tokenize to find ids.")
        if not -100 <= bias <= 100:
            raise wrong(place, f"must be from -100 to 100, not {bias}.")
        found.append((int(token), float(bias)))
    return tuple(found)


def constraint(form: Mapping[str, Any] | None, grammar: Mapping[str, Any] | None) -> Grammar | None:
    """``response_format`` or ``grammar``."""
    formed = response_format(form) if form is not None else None
    if grammar is None:
        return formed
    if formed is not None:
        raise wrong("grammar", "and response_format exclude each other.")
    only(grammar, ("type", "value"), "grammar")
    kind, value = grammar.get("type"), grammar.get("value")
    if kind not in GRAMMARS:
        raise wrong("grammar.type", f"is {shown(kind)}.", f"Use {', '.join(GRAMMARS)}.")
    if not isinstance(value, str):
        if kind == "regex" or kind == "lark" or not isinstance(value, (dict, bool)):
            raise wrong("grammar.value", f"must be text, not {shown(value)}.")
        value = json.dumps(value)
    return Grammar(kind, value)


def response_format(form: Mapping[str, Any]) -> Grammar | None:
    """OpenAI's ``response_format``."""
    match form.get("type"):
        case "text":
            only(form, ("type",), "response_format")
            return None
        case "json_object":
            only(form, ("type",), "response_format")
            return Grammar("json_schema", json.dumps(ANY_JSON))
        case "json_schema":
            only(form, ("type", "json_schema"), "response_format")
            named = instance(form.get("json_schema"), dict, "response_format.json_schema")
            only(named, ("name", "description", "schema", "strict", "type"), "response_format.json_schema")
            return Grammar("json_schema", json.dumps(schema_of(named)), strict=named.get("strict") is True)
        case other:
            raise wrong("response_format.type", f"is {shown(other)}.", "Use text, json_object or json_schema.")


def schema_of(named: Mapping[str, Any]) -> dict[str, Any] | bool:
    """The schema itself."""
    schema = named.get("schema", ANY_JSON)
    if not isinstance(schema, (dict, bool)):
        raise wrong("response_format.json_schema.schema", f"must be an object, not {shown(schema)}.")
    return schema


def dry(
    multiplier: float | None, base: float | None, allowed: int | None, breakers: Sequence[str] | None
) -> Dry | None:
    """The DRY penalty, where its multiplier turns it on."""
    if multiplier is None or multiplier == 0:
        given = {"dry_base": base, "dry_allowed_length": allowed, "dry_sequence_breakers": breakers}
        for name, value in given.items():
            if value not in (None, []) and multiplier is None:
                raise wrong(name, "needs dry_multiplier.")
        return None
    for name, number in {"dry_multiplier": multiplier, "dry_base": base, "dry_allowed_length": allowed}.items():
        if number is not None and not 0 <= number <= 1e4:
            raise wrong(name, f"must be from 0 to 10000, not {number}.")
    return Dry(
        multiplier=multiplier,
        base=Dry.base if base is None else base,
        allowed_length=Dry.allowed_length if allowed is None else allowed,
        breakers=Dry.breakers if breakers is None else tuple(breakers),
    )
