"""How to sample: the panel Answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ...options import Effort
from .option import ANSWER, at_least, flag_in, option_in, within

option, flag = option_in(ANSWER), flag_in(ANSWER)


@dataclass(frozen=True)
class AnswerParams:
    """Sampling, reasoning, and constraints on the answer."""

    max_tokens: Annotated[
        int | None, option("--max-tokens", metavar="N", callback=at_least(1), help="Longest answer, in tokens.")
    ] = None
    temperature: Annotated[
        float | None,
        option(
            "--temperature",
            metavar="F",
            callback=within(0, 100),
            help="Randomness; 0 always takes the most likely token.",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        option(
            "--top-p",
            metavar="F",
            callback=within(0, 1),
            help="Sample from the most likely tokens whose probabilities add up to F.",
        ),
    ] = None
    top_k: Annotated[
        int | None,
        option(
            "--top-k", metavar="N", callback=within(0, 2**30), help="Sample from the N most likely tokens; 0 is off."
        ),
    ] = None
    min_p: Annotated[
        float | None,
        option(
            "--min-p",
            metavar="F",
            callback=within(0, 1),
            help="Drop tokens below F × the probability of the most likely one.",
        ),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        option("--repetition-penalty", metavar="F", callback=within(0.001, 100), help="Above 1 repeats less."),
    ] = None
    frequency_penalty: Annotated[
        float | None,
        option(
            "--frequency-penalty",
            metavar="F",
            callback=within(-100, 100),
            help="Subtracted for every earlier use of a token.",
        ),
    ] = None
    presence_penalty: Annotated[
        float | None,
        option(
            "--presence-penalty",
            metavar="F",
            callback=within(-100, 100),
            help="Subtracted once for any earlier use of a token.",
        ),
    ] = None
    stop: Annotated[
        list[str] | None, option("--stop", metavar="TEXT", help="End before this text. May be repeated.")
    ] = None
    seed: Annotated[
        int | None,
        option(
            "--seed", metavar="N", callback=within(-(2**63), 2**64 - 1), help="The same seed gives the same answer."
        ),
    ] = None
    thinking: Annotated[
        Literal["true", "false"] | None,
        option(
            "--thinking",
            metavar="[=BOOL]",
            help="true or false: whether a model that can reason before it answers does.",
        ),
    ] = None
    reasoning_effort: Annotated[
        Effort | None,
        option(
            "--reasoning-effort", metavar="HOW", help="How long such a model reasons: off, low, medium, high or xhigh."
        ),
    ] = None
    json_schema: Annotated[
        str | None,
        option("--json-schema", "--schema", metavar="FILE", help="Constrain the answer to JSON that fits this schema."),
    ] = None
    regex: Annotated[
        str | None, option("--regex", metavar="R", help="Constrain the answer to this regular expression.")
    ] = None
    grammar: Annotated[
        str | None, option("--grammar", metavar="FILE", help="Constrain the answer to this Lark or llguidance grammar.")
    ] = None
