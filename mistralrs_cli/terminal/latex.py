r"""Mathematics in Markdown: ``\(a_b\)``, ``\[a_b\]``, ``$a_b$`` and environments are text to be left as it is."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

CLOSING = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
DOLLARS = re.compile(r"\$(?!\s)(?:[^$\\\n]|\\.)+(?<!\s)\$(?!\d)")
"""As Pandoc has it, so that prices stay prices: no space inside the signs, no digit after the second."""
ENVIRONMENT = re.compile(r"\\begin(\{[^}\n]+\})")


def with_latex(parser: MarkdownIt) -> MarkdownIt:
    """The parser, which then takes nothing of a formula for Markdown."""
    parser.inline.ruler.before("escape", "latex", inline)
    parser.block.ruler.before("fence", "latex", block, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def inline(state: StateInline, silent: bool) -> bool:
    """A formula within a line; of one without an end the sign that begins it."""
    begin, mark = state.pos, state.src[state.pos : state.pos + 2]
    if mark in CLOSING:
        close = state.src.find(CLOSING[mark], begin + 2, state.posMax)
        end = begin + 2 if close < 0 else close + 2
    elif mark in (r"\)", r"\]"):
        end = begin + 2
    elif found := DOLLARS.match(state.src, begin, state.posMax):
        end = found.end()
    else:
        return False
    if not silent:
        state.pending += state.src[begin:end]
    state.pos = end
    return True


def block(state: StateBlock, first: int, beyond: int, silent: bool) -> bool:
    """A formula on lines of its own, up to its end or the next empty line."""
    if state.is_code_block(first):
        return False
    begun = line(state, first)
    environment = ENVIRONMENT.match(begun)
    closing = rf"\end{environment[1]}" if environment else CLOSING.get(begun[:2], "")
    if not closing or begun.startswith(r"\("):
        return False
    last, end = first, begun.find(closing, 2)
    while end < 0 and last + 1 < beyond and not state.isEmpty(last + 1) and state.sCount[last + 1] >= state.blkIndent:
        last += 1
        end = line(state, last).find(closing)
    if end >= 0 and line(state, last)[end + len(closing) :].strip(" .,;"):
        return False  # words go on after it
    if not silent:
        state.line = last + 1
        token = state.push("latex_block", "", 0)
        token.content = state.getLines(first, last + 1, state.blkIndent, False).rstrip("\n")
        token.map = [first, last + 1]
    return True


def line(state: StateBlock, number: int) -> str:
    """A line without what comes before its text."""
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
