"""What an answer is held to, as llguidance wants it: a JSON schema, a regular expression or a grammar."""

from __future__ import annotations

import json

from .errors import GenerationError, GrammarError
from .events import Done, Reply
from .named_files import position
from .options import Grammar, GrammarKind

NAMES: dict[GrammarKind, str] = {
    "json_schema": "JSON schema",
    "regex": "regex",
    "lark": "Lark grammar",
    "llguidance": "llguidance grammar",
}
PARTS: dict[GrammarKind, str] = {
    "json_schema": "not whole JSON",
    "regex": "not all that the regular expression asks for",
    "lark": "not all that the grammar asks for",
    "llguidance": "not all that the grammar asks for",
}
"""What an answer is that was cut."""

LONGEST_REASON = 400
ORDINARY = 8192  # characters; llguidance goes from rule to rule by recursion, and very many fill an ordinary stack


def check(grammar: Grammar) -> None:
    """Raise ``GrammarError`` for one that no model could keep to. It takes no model, so it can be done early.

    What is longer than people write is left to the engine, which has a deeper stack for it.
    """
    if len(grammar.value) > ORDINARY:
        return
    import llguidance

    try:
        reason = llguidance.LLMatcher.validate_grammar(compiled(grammar))
    except ValueError as error:
        raise invalid(grammar, str(error)) from error
    if reason:
        raise invalid(grammar, reason)


def compiled(grammar: Grammar) -> str:
    """The constraint in llguidance's own form. Raises ``GrammarError``, or ``ValueError`` with llguidance's reason."""
    import llguidance

    match grammar.kind:
        case "json_schema":
            try:
                schema = json.loads(grammar.value)
            except (ValueError, RecursionError) as error:
                where = position(error) if isinstance(error, ValueError) else ""
                raise GrammarError(f"The JSON schema is not JSON{where}.", "Check its commas and quotes.") from error
            return llguidance.LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        case "regex":
            return llguidance.LLMatcher.grammar_from_regex(grammar.value)
        case "lark":
            return llguidance.LLMatcher.grammar_from_lark(grammar.value)
        case _:
            return grammar.value


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


def invalid(grammar: Grammar, reason: str) -> GrammarError:
    """The error for a constraint that does not compile.

    llguidance draws its reason over several lines; of a regular expression's, the one with the fault says it all.
    """
    if "regex parse error" in reason:
        reason = reason.rpartition("error: ")[2].partition("\n")[0]
    words = " ".join(reason.split())
    short = words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}…"
    return GrammarError(f"Invalid {NAMES[grammar.kind]}: {short}", "Fix it and try again.")
