"""Answers held to a JSON schema, regular expression or grammar, one matcher a row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import torch

from ...constraint import compiled, invalid
from ...errors import GrammarError
from ...options import Grammar
from .processors import to_device
from .runaway import Runaway, TokenTexts
from .worker_thread import DaemonThread

LONGEST = 1 << 18  # characters of a grammar
STACK = 1 << 29  # bytes, so deep that no grammar of that length fills it; memory is taken only as far as it is used
READING = 5.0  # seconds that a grammar and its first mask may take; other requests do not wait for it
MASKING = 1.0  # seconds that each later mask may take; those that decode beside it wait for it
PLACES = threading.BoundedSemaphore(4)  # grammars read at a time; one that takes too long keeps its place to the end


class GrammarCompiler:
    """Grammars over one tokenizer's vocabulary. The first use reads the vocabulary, which takes up to seconds."""

    def __init__(self, tokenizer: Any, vocabulary: int, end_tokens: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.end_tokens = end_tokens
        self._compiled: Any = None
        self._texts: TokenTexts | None = None

    def processor(self, grammar: Grammar, after: int | None = None) -> GrammarProcessor:
        """A fresh matcher for one answer, or for what follows its first token ``after``, the end of a thought.

        Its first mask is made here. Raises ``GrammarError`` where the grammar is not valid, or takes too long to read.
        """
        if len(grammar.value) > LONGEST:
            raise invalid(grammar, f"it has {len(grammar.value):,} characters, {LONGEST:,} is the most.")
        self.read()
        try:
            first = within_reason(grammar, partial(self._first, grammar, compiled(grammar)))
        except ValueError as error:
            raise invalid(grammar, str(error)) from error
        return GrammarProcessor(first, self.end_tokens, after)

    def read(self) -> None:
        """Read the vocabulary, once. Meanwhile no other thread may use the tokenizer."""
        import llguidance.hf

        if self._compiled is None:
            ends = sorted(self.end_tokens) or None
            self._compiled = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=self.vocabulary, eos_token=ends)

    def _first(self, grammar: Grammar, text: str) -> Masks:
        import llguidance

        matcher = llguidance.LLMatcher(self._compiled, text)
        if matcher.is_error():
            raise invalid(grammar, matcher.get_error())
        if not (grammar.json or grammar.kind == "json_schema"):
            return Masks(matcher, self.vocabulary)
        self._texts = self._texts or TokenTexts(self._compiled)
        return Masks(matcher, self.vocabulary, Runaway(self._texts))


def within_reason(grammar: Grammar, read: Callable[[], Masks]) -> Masks:
    """Read a grammar in a thread with a deep stack: llguidance goes from rule to rule by recursion.

    A full stack would end the process, and a hostile expression of a few characters takes any time.
    """
    if not PLACES.acquire(timeout=READING):
        raise GrammarError("Other grammars take too long to be read.", "Try again later.")
    reading = DaemonThread("grammar", STACK).do(read)
    reading.add_done_callback(lambda _: PLACES.release())
    try:
        return reading.result(READING)
    except TimeoutError as error:
        raise too_complex(grammar.kind) from error


def too_complex(kind: str) -> GrammarError:
    """The error for what cannot be kept to in the time or memory that there is."""
    return GrammarError(f"The {kind} is too complex to be kept to.", "Make it simpler.")


class Masks:
    """What a matcher allows next, as bits [vocabulary, rounded up]; ``None`` once the grammar is complete.

    ``runaway`` takes out what would never end, unless the grammar leaves nothing else.
    """

    def __init__(self, matcher: Any, vocabulary: int, runaway: Runaway | None = None) -> None:
        import llguidance.numpy

        self.matcher = matcher
        self.runaway = runaway
        self._mask = llguidance.numpy.allocate_token_bitmask(1, vocabulary)
        self.first = self.allowed()

    def after(self, token: int) -> Any:
        """What may follow one more token."""
        self.matcher.consume_token(token)
        if self.runaway is not None:
            self.runaway.follow(token)
        return self.allowed()

    def allowed(self) -> Any:
        """What may come now. Raises ``GrammarError`` where llguidance has reached its limits."""
        import llguidance.numpy
        import numpy as np

        if not self.matcher.is_error() and self.matcher.is_stopped():
            return None
        if not self.matcher.is_error():
            llguidance.numpy.fill_next_token_bitmask(self.matcher, self._mask, 0)
        if self.matcher.is_error():  # else it would allow the end alone, and a broken answer would look whole
            raise too_complex("grammar")
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        blocked = None if self.runaway is None else self.runaway.blocked()
        if blocked is None:
            return bits
        fewer = bits.copy()
        fewer[blocked] = 0
        return fewer if fewer.any() else bits


class GrammarProcessor:
    """Masks every token that would leave the grammar; once it is complete only the end tokens remain.

    A token's mask is computed in a thread of its own as soon as the token before it is known, while the model runs; the
    sampler waits for it up to ``MASKING`` seconds. With ``after`` the grammar begins behind that token.
    """

    def __init__(self, masks: Masks, end_tokens: frozenset[int], after: int | None = None) -> None:
        self.after = after
        self.masks = masks
        self.end_tokens = sorted(end_tokens)
        self._thread: DaemonThread | None = None
        self._next: Future[Any] = Future()
        self._next.set_result(masks.first)

    def accept(self, token: int) -> None:
        """Start computing the mask for the token after this one."""
        if self.after is None:
            self._thread = self._thread or DaemonThread("mask")
            self._next = self._thread.do(partial(self.masks.after, token))
        elif token == self.after:
            self.after = None

    @property
    def complete(self) -> bool:
        """Whether the answer so far matches the whole grammar, so that it may end here."""
        if self.after is not None:
            return False
        try:
            bits = self._next.result(MASKING)
        except (TimeoutError, GrammarError):
            return False
        return bits is None or bool(bits[self.end_tokens].any())

    def apply(self, logits: torch.Tensor) -> None:
        """Raises ``GrammarError`` where the mask takes too long."""
        if self.after is not None:
            return
        try:
            bits = self._next.result(MASKING)
        except TimeoutError as error:
            raise too_complex("grammar") from error
        if bits is None:
            logits.fill_(-torch.inf)
            for token in self.end_tokens:
                logits[token] = 0.0
            return
        allowed = to_device(torch.from_numpy(bits[: len(logits)]), logits.device)
        logits.masked_fill_(allowed == 0, -torch.inf)
