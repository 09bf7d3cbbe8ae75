"""Two texts of overlapping windows as one: what both windows heard is written once."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
"""A word; where a script writes none apart, a character."""
SHARED = 24
"""Words that two windows may share: those of two seconds, of a fast speaker or in a script of one-word characters."""
CUT_WORDS = 2
"""Words at the edge of a window that may be misheard, since they were cut."""
ALIKE = 0.5
"""How alike two hearings of the same words are at least, from 0 to 1."""


def stitch(before: str, after: str) -> tuple[str, str]:
    """Two texts of windows that overlap, without what the second repeats of the first.

    A run of words that ends the first and stands near the beginning of the second joins them, whatever their case and
    punctuation. A word or two beyond it, at the cut edges, give way to the other window, which heard them whole. Where
    there is no such run both stay as they are: better a word twice than none.
    """
    tail, head = list(WORD.finditer(before))[-SHARED:], list(WORD.finditer(after))[:SHARED]
    left, right = ([plain(match[0]) for match in words] for words in (tail, head))
    best, found = -SHARED, (0, 0)
    for beyond in range(min(CUT_WORDS + 1, len(left))):
        for ahead in range(len(right)):
            size = common(left[: len(left) - beyond], right[ahead:])
            edges = beyond + ahead
            if not size or (size == 1 and edges) or not same_words(left, right, beyond, ahead, size):
                continue
            if size - edges > best:
                best, found = size - edges, (beyond, ahead + size)
    if found == (0, 0):
        return before, after
    beyond, heard = found
    return before[: tail[len(tail) - beyond - 1].end()], after[head[heard - 1].end() :].lstrip()


def common(left: list[str], right: list[str]) -> int:
    """How many words at the end of one list are those at the beginning of the other."""
    return next((size for size in range(min(len(left), len(right)), 0, -1) if left[-size:] == right[:size]), 0)


def same_words(left: list[str], right: list[str], beyond: int, ahead: int, size: int) -> bool:
    """Whether what stands before a run in the second text may be another hearing of what does in the first."""
    if ahead <= CUT_WORDS:
        return True
    end = len(left) - beyond - size
    return SequenceMatcher(None, left[max(0, end - ahead) : end], right[:ahead], autojunk=False).ratio() >= ALIKE


def plain(word: str) -> str:
    """A word without case and punctuation; punctuation alone stays."""
    return re.sub(r"\W", "", word).casefold() or word


def join(texts: list[str]) -> str:
    """Texts one after the other, with a space between where their script has spaces."""
    whole = ""
    for text in filter(None, map(str.strip, texts)):
        whole += gap(whole, text) + text
    return whole


def gap(before: str, after: str) -> str:
    """What stands between two texts: a space, unless nothing comes before or their script has none."""
    unspaced = re.match(f"[{CJK}]", after) and re.search(rf"[{CJK}\u3001\u3002\uff01\uff1f…]$", before)
    return " " if before and not unspaced else ""
