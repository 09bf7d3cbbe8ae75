"""Whether and how much to think, by the names of OpenAI, Anthropic and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import instance, number, only, shown, wrong

NOT_AT_ALL = ("off", "none")


def thinking_fields(
    enable: bool | None = None,
    effort: str | None = None,
    budget: int | None = None,
    thinking: Mapping[str, Any] | None = None,
    reasoning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The arguments of ``sampling`` that say how to think.

    ``enable`` is a demand, which a model that cannot think refuses; everything else is a hint, which it ignores. A
    budget is the most tokens of reasoning.
    """
    demanded = enable is True
    hint: bool | None = None
    if thinking is not None:
        only(thinking, ("type", "budget_tokens", "display", "clear_thinking", "effort"), "thinking")
        match thinking.get("type"):
            case "enabled" | "adaptive" | "auto":
                hint = True
            case "disabled":
                hint = False
            case other:
                raise wrong("thinking.type", f"is {shown(other)}.", "Use enabled, adaptive or disabled.")
        budget = whole(thinking, "budget_tokens", "thinking", budget)
    if reasoning is not None:
        only(
            reasoning,
            ("effort", "max_tokens", "enabled", "summary", "generate_summary", "context", "exclude"),
            "reasoning",
        )
        if effort is None and reasoning.get("effort") is not None:
            effort = instance(reasoning["effort"], str, "reasoning.effort")
        if isinstance(reasoning.get("enabled"), bool):
            hint = reasoning["enabled"]
        budget = whole(reasoning, "max_tokens", "reasoning", budget)
    if budget is not None and budget < 0:
        budget = None
    if budget == 0:
        hint, budget = False, None
    if enable is None and hint is False and effort not in NOT_AT_ALL:
        effort = None
    if enable is None and effort is None:
        enable = hint
    return {
        "enable_thinking": enable,
        "reasoning_effort": effort,
        "thinking_budget": budget,
        "thinking_hint": not demanded,
    }


def whole(value: Mapping[str, Any], name: str, place: str, default: int | None) -> int | None:
    """A number of tokens, if there is one."""
    found = value.get(name)
    return default if found is None else int(number(found, f"{place}.{name}", whole=True))
