"""What an answer is held to, as llguidance wants it: a JSON schema, a regular expression or a grammar."""

from __future__ import annotations

import json
from typing import Any

from ..errors import GrammarError
from ..named_files import position
from ..options import Grammar, GrammarKind
from .patterns import ascii_classes, ascii_lark
from .schema import GUIDANCE, Enforceable, Unenforced, enforceable

__all__ = ["ORDINARY", "Unenforced", "check", "compiled", "inline_schema", "invalid", "left_out", "usable"]

NAMES: dict[GrammarKind, str] = {
    "json_schema": "JSON schema",
    "regex": "regex",
    "lark": "Lark grammar",
    "llguidance": "llguidance grammar",
}
LONGEST_REASON = 400
ORDINARY = 8192  # characters; llguidance goes from rule to rule by recursion, and very many fill an ordinary stack
WHOLE = "The JSON schema"
IMPOSSIBLE = "Unsatisfiable schema: "


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
            found = schema_of(grammar)
            if found.schema is True:
                found = Enforceable({})
            elif found.schema is False:
                raise invalid(grammar, f"{IMPOSSIBLE}false allows none.")
            return llguidance.LLMatcher.grammar_from_json_schema(json.dumps(found.schema), overrides=GUIDANCE)
        case "regex":
            return llguidance.LLMatcher.grammar_from_regex(ascii_classes(grammar.value))
        case "lark":
            return llguidance.LLMatcher.grammar_from_lark(ascii_lark(grammar.value))
        case _:
            return grammar.value


def schema_of(grammar: Grammar) -> Enforceable:
    """What a grammar's JSON schema can be enforced of. Raises ``GrammarError`` where it is none, or must be whole."""
    try:
        schema = json.loads(grammar.value)
    except (ValueError, RecursionError) as error:
        raise GrammarError(
            f"The JSON schema is not JSON{position(error) if isinstance(error, ValueError) else ''}.",
            "Check its commas and quotes.",
        ) from error
    return held(schema, strict=grammar.strict)


def held(schema: Any, *, strict: bool = False, name: str = WHOLE) -> Enforceable:
    """What of a schema an answer can be held to; with ``strict`` a ``GrammarError`` where that is not all of it."""
    found = enforceable(schema, "$" if name == WHOLE else name)
    if strict and (lacking := [part for part in found.left_out if not part.remark]):
        raise GrammarError(
            f"{name}: {', '.join(map(str, lacking))} cannot be enforced.",
            "Leave it out, or strict: the answer is then held to the rest.",
        )
    return found


def left_out(grammar: Grammar | None) -> tuple[Unenforced, ...]:
    """What a grammar's answer is not held to."""
    if grammar is None or grammar.kind != "json_schema":
        return ()
    return schema_of(grammar).left_out


def usable(schema: Any, *, strict: bool = False, name: str = WHOLE) -> Any:
    """What of a schema an answer can be held to. Raises ``GrammarError`` that calls it ``name`` where it is none."""
    import llguidance

    found = held(schema, strict=strict, name=name).schema
    try:
        text = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(found), overrides=GUIDANCE)
        reason = llguidance.LLMatcher.validate_grammar(text)
    except ValueError as error:
        reason = str(error)
    if reason:
        raise not_a_schema(name, reason)
    return found


def inline_schema(schema: Any, *, strict: bool = False, name: str = WHOLE) -> str:
    """A JSON schema as a part of a Lark grammar. Raises ``GrammarError`` that calls it ``name`` where it is none."""
    found = usable(schema, strict=strict, name=name)
    return "%json " + json.dumps({**found, "x-guidance": GUIDANCE}, ensure_ascii=False)


def invalid(grammar: Grammar, reason: str) -> GrammarError:
    """The error for a constraint that does not compile.

    llguidance draws its reason over several lines; of a regular expression's, the one with the fault says it all.
    """
    if grammar.kind == "json_schema":
        return not_a_schema(WHOLE, reason)
    return GrammarError(f"Invalid {NAMES[grammar.kind]}: {shortened(reason)}", "Fix it and try again.")


def not_a_schema(name: str, reason: str) -> GrammarError:
    """The error for a schema that no value satisfies, or that is none."""
    if reason.startswith(IMPOSSIBLE):
        why = shortened(reason.removeprefix(IMPOSSIBLE))
        return GrammarError(f"{name} allows no value: {why}", "Correct what contradicts itself.")
    return GrammarError(f"{name} is not valid: {shortened(reason)}", "Fix it and try again.")


def shortened(reason: str) -> str:
    """llguidance's reason in a line."""
    if "regex parse error" in reason:
        reason = reason.rpartition("error: ")[2].partition("\n")[0]
    words = " ".join(reason.split())
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}…"
