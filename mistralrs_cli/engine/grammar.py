"""Answers held to a JSON schema, regular expression or grammar, one matcher a row."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch
from transformers import LogitsProcessor

from ..errors import GrammarError
from ..options import Grammar

Result = TypeVar("Result")
LONGEST = 1 << 18  # characters of a grammar
STACK = 1 << 29  # bytes; memory is taken only as far as it is used
DEEP = threading.Lock()  # the size of new stacks is the whole process's


class GrammarCompiler:
    """Grammars over one tokenizer's vocabulary. The first use reads the vocabulary, which takes up to seconds."""

    def __init__(self, tokenizer: Any, vocabulary: int, end_tokens: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.end_tokens = end_tokens
        self._compiled: Any = None

    def processor(self, grammar: Grammar, prompt_tokens: int, after: int | None = None) -> GrammarProcessor:
        """A fresh matcher for one answer, or for what follows its first token ``after``, the end of a thought.

        Raises ``GrammarError`` where the grammar is not valid.
        """
        import llguidance
        import llguidance.hf

        if len(grammar.value) > LONGEST:
            raise invalid(grammar, f"it has {len(grammar.value):,} characters, {LONGEST:,} is the most.")
        try:
            if self._compiled is None:
                ends = sorted(self.end_tokens) or None
                self._compiled = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=self.vocabulary, eos_token=ends)
            matcher = with_deep_stack(partial(llguidance.LLMatcher, self._compiled, compile_grammar(grammar)))
        except ValueError as error:
            raise invalid(grammar, str(error)) from error
        if matcher.is_error():
            raise invalid(grammar, matcher.get_error())
        return GrammarProcessor(matcher, self.vocabulary, self.end_tokens, prompt_tokens, after)


def with_deep_stack(work: Callable[[], Result]) -> Result:
    """Do something in a thread of its own whose stack is so deep that no grammar of ``LONGEST`` characters fills it.

    llguidance goes from rule to rule by recursion, and a full stack would end the process.
    """
    with DEEP, ThreadPoolExecutor(1, "grammar") as pool:
        before = threading.stack_size(STACK)
        try:
            done = pool.submit(work)
        finally:
            threading.stack_size(before)
        return done.result()


def invalid(grammar: Grammar, reason: str) -> GrammarError:
    """The error for a grammar that does not compile; llguidance draws its reason over several lines."""
    return GrammarError(f"The {grammar.kind} is not valid: {' '.join(reason.split())}", "Mend it and try again.")


def compile_grammar(grammar: Grammar) -> str:
    """The constraint in llguidance's own form."""
    import llguidance

    match grammar.kind:
        case "json_schema":
            try:
                schema = json.loads(grammar.value)
            except (ValueError, RecursionError) as error:
                raise GrammarError(f"The JSON schema is not JSON: {error}", "Check its commas and quotes.") from error
            return llguidance.LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        case "regex":
            return llguidance.LLMatcher.grammar_from_regex(grammar.value)
        case "lark":
            return llguidance.LLMatcher.grammar_from_lark(grammar.value)
        case _:
            return grammar.value


class GrammarProcessor(LogitsProcessor):
    """Masks every token that would leave the grammar; once it is complete only the end tokens remain."""

    def __init__(
        self,
        matcher: Any,
        vocabulary: int,
        end_tokens: frozenset[int],
        prompt_tokens: int,
        after: int | None = None,
    ) -> None:
        import llguidance.numpy

        self.after = after

        self.matcher = matcher
        self.end_tokens = sorted(end_tokens)
        self.seen = prompt_tokens
        self.mask = llguidance.numpy.allocate_token_bitmask(1, vocabulary)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``input_ids`` int64 [1, tokens so far], ``scores`` float32 [1, vocabulary]."""
        import llguidance.numpy
        import numpy as np

        for token in input_ids[0, self.seen :].tolist():
            if self.after is None:
                self.matcher.consume_token(token)
            elif token == self.after:
                self.after = None
        self.seen = input_ids.shape[1]
        if self.after is not None:
            return scores
        if self.matcher.is_error():
            raise GrammarError("The grammar is too complex to be kept to.", "Make it simpler.")
        if self.matcher.is_stopped():
            ended = torch.full_like(scores, -torch.inf)
            ended[:, self.end_tokens] = 0.0
            return ended
        llguidance.numpy.fill_next_token_bitmask(self.matcher, self.mask, 0)
        if self.matcher.is_error():  # else it would allow the end alone, and a broken answer would look whole
            raise GrammarError("The grammar is too complex to be kept to.", "Make it simpler.")
        bits = np.unpackbits(self.mask.view(np.uint8), bitorder="little")[: scores.shape[-1]]
        return scores.masked_fill(~torch.from_numpy(bits).bool().to(scores.device), -torch.inf)
