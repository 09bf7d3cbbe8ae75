"""Answers that ended before they were all that they are held to."""

from ..errors import GenerationError
from ..events import Done, Reply
from ..options import Grammar, GrammarKind

PARTS: dict[GrammarKind, str] = {
    "json_schema": "not whole JSON",
    "regex": "not all that the regular expression asks for",
    "lark": "not all that the grammar asks for",
    "llguidance": "not all that the grammar asks for",
}
"""What an answer is that was cut."""


def unfinished(grammar: Grammar | None, end: Done | Reply) -> GenerationError | None:
    """The error for an answer that ended before it was what ``grammar`` asks for.

    A stop string may end what follows a regular expression or grammar, since it was asked for; half of a JSON text is
    of no use.
    """
    if grammar is None or not end.incomplete or (end.stop is not None and grammar.kind != "json_schema"):
        return None
    count = end.usage.completion_tokens
    ended = f"at the stop string {end.stop!r}" if end.stop is not None else f"after {count:,} tokens"
    hint = "Leave out --stop." if end.stop is not None else "--max-tokens N allows more; so does a shorter prompt."
    return GenerationError(f"The answer was cut {ended}, so it is {PARTS[grammar.kind]}.", hint)
