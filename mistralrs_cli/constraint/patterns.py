"""Regular expressions as llguidance reads them: ``\\d``, ``\\w`` and ``\\s`` are ASCII, and nothing looks around."""

from __future__ import annotations

import re

ASCII = "dws"
REFERENCE = re.compile(r"\\[1-9]|\\k<|\(\?P=")


def ascii_classes(pattern: str) -> str:
    r"""A regular expression whose ``\d``, ``\w`` and ``\s`` mean ASCII, as in ECMA-262, not every digit there is."""
    import llguidance

    converted: str = llguidance.regex_to_lark(pattern, ASCII)
    return converted


def refusal(pattern: str) -> str | None:
    """Why llguidance cannot hold text to a regular expression; ``None`` where it can."""
    import llguidance

    try:
        reason = llguidance.LLMatcher.validate_grammar(llguidance.LLMatcher.grammar_from_regex(ascii_classes(pattern)))
    except ValueError as error:
        return str(error)
    return reason or None


def without_assertions(pattern: str) -> str | None:
    r"""A pattern without its look-around and ``\b``, which matches all that it matched and more.

    ``None`` for one that refers back to its own groups: no pattern without references is as wide and still says much.
    """
    if REFERENCE.search(pattern.replace("\\\\", "")):
        return None
    kept: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), at):
            at = after_group(pattern, at)
            continue
        if pattern[at] == "\\":
            piece = pattern[at : at + 2]
            at += 2
            if piece not in ("\\b", "\\B"):
                kept.append(piece)
            continue
        end = after_class(pattern, at) if pattern[at] == "[" else at + 1
        kept.append(pattern[at:end])
        at = end
    return "".join(kept)


def after_group(pattern: str, at: int) -> int:
    """The place behind the group that opens at ``at``."""
    depth = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "[":
            at = after_class(pattern, at)
            continue
        depth += {"(": 1, ")": -1}.get(pattern[at], 0)
        at += 1
        if depth == 0:
            break
    return min(at, len(pattern))


def after_class(pattern: str, at: int) -> int:
    """The place behind the character class that opens at ``at``; a first ``]`` belongs to it."""
    end = at + 1
    while pattern.startswith(("^", "]"), end) and end <= at + 2:
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return min(end + 1, len(pattern))


def ascii_lark(grammar: str) -> str:
    r"""A Lark grammar in whose expressions (``/…/``) ``\d``, ``\w`` and ``\s`` mean ASCII."""
    return LARK_PIECE.sub(lambda piece: f"/{ascii_classes(unslashed(piece[1]))}/" if piece[1] else piece[0], grammar)


LARK_PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|\#[^\n]*|/((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+)/')
"""A text, a comment, or an expression (group 1)."""


def unslashed(pattern: str) -> str:
    """An expression of a Lark grammar without the escapes of its slashes, which are made again."""
    return pattern.replace("\\/", "/")
