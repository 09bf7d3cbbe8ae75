"""Whatever a model favours, JSON comes to an end: numbers have so many digits, texts no endless runs."""

import json
import random
from typing import Any

import llguidance
import numpy as np
import pytest

from mistralrs_cli.engine.sampling.grammar import GrammarCompiler
from mistralrs_cli.engine.sampling.runaway import BLANKS, DIGITS, SAME, TOKENS, Runaway, TokenTexts
from mistralrs_cli.options import Grammar, GrammarKind
from tests.checkpoints.tokens import tokenizer


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    words = tokenizer()
    return GrammarCompiler(words, len(words), frozenset({words.eos_token_id}))


def written(compiler: GrammarCompiler, schema: Any, favour: str, *, kind: GrammarKind = "json_schema") -> str:
    """What a model writes that prefers tokens beginning with ``favour``, and else takes any."""
    value = schema if kind == "regex" else json.dumps(schema)
    masks = compiler.processor(Grammar(kind, value)).masks
    end, choose = compiler.tokenizer.eos_token_id, random.Random(3)
    texts = [compiler.tokenizer.decode([token]) for token in range(compiler.vocabulary)]
    ids: list[int] = []
    bits = masks.first
    while bits is not None and len(ids) < 400:
        allowed = [int(token) for token in np.flatnonzero(bits) if token < compiler.vocabulary]
        wanted = [token for token in allowed if texts[token].startswith(favour)]
        token = choose.choice(wanted or allowed)
        if token == end:
            break
        ids.append(token)
        bits = masks.after(token)
    return "".join(texts[token] for token in ids)


def test_numbers_have_as_many_digits_as_a_float_holds(compiler: GrammarCompiler) -> None:
    number = written(compiler, {"type": "number"}, "7")
    assert number.startswith("7" * DIGITS)
    assert not number.startswith("7" * (DIGITS + 1))
    assert json.loads(number) >= 7 * 10 ** (DIGITS - 1)
    assert written(compiler, {"type": "integer"}, "7") == "7" * DIGITS


def test_every_number_is_bounded_by_itself(compiler: GrammarCompiler) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3}
    assert json.loads(written(compiler, schema, "4")) == [int("4" * DIGITS)] * 3


@pytest.mark.parametrize(("favour", "most"), [(" ", BLANKS), ("-", SAME), ("z", SAME)])
def test_no_text_runs_on_in_blanks_or_one_character(compiler: GrammarCompiler, favour: str, most: int) -> None:
    text = written(compiler, {"type": "string"}, favour)
    longest = max(len(run) for run in "".join(char if char == favour else "\n" for char in text).split("\n"))
    assert 1 <= longest <= most + 8  # a token may hold several


def test_no_text_repeats_one_token_without_end() -> None:
    follows = Runaway(TokenTexts(llguidance.LLTokenizer("byte")))
    for token in b'"':
        follows.follow(token)
    for _ in range(TOKENS):
        assert follows.blocked() is None
        follows.follow(ord("a"))
    blocked = follows.blocked()
    assert blocked is not None
    assert blocked.tolist() == [ord("a")]


def test_what_the_schema_fixes_may_be_as_long_as_it_says(compiler: GrammarCompiler) -> None:
    line = "-" * (2 * SAME)
    assert json.loads(written(compiler, {"enum": [line]}, "x")) == line
    digits = 12345678901234568
    assert json.loads(written(compiler, {"const": digits}, "x")) == digits


def test_a_regex_is_what_it_says(compiler: GrammarCompiler) -> None:
    assert written(compiler, r"\d{40}", "5", kind="regex") == "5" * 40


def test_digits_of_a_regex_are_ascii(compiler: GrammarCompiler) -> None:
    masks = compiler.processor(Grammar("regex", r"\d\w\s"), 0).masks
    allowed = {compiler.tokenizer.decode([int(token)]) for token in np.flatnonzero(masks.first)}
    assert allowed
    assert all(text.isascii() for text in allowed)
