"""Ways of drawing that transformers lacks: bias, log probabilities, DRY; and a prompt cut at its beginning."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.output_parser import ThinkingTokens
from mistralrs_cli.engine.sampling.dry import DryProcessor, repetitions
from mistralrs_cli.engine.sampling.logprobs import Scores, top_logprobs
from mistralrs_cli.engine.sampling.thinking_budget import ThinkingBudget
from mistralrs_cli.engine.template_inputs import check_template_inputs, unread
from mistralrs_cli.engine.token_bytes import token_bytes
from mistralrs_cli.errors import ContextOverflow, OptionError
from mistralrs_cli.events import collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.loading.template_syntax import template_variables
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Dry, Sampling
from tests.checkpoints.media import picture

Tiny = Callable[[str], LoadedModel]


@pytest.fixture(scope="module")
def engine(tiny: Tiny) -> Any:
    with Engine(tiny("gemma4"), max_rows=4) as engine:
        yield engine


def user(text: str) -> list[Message]:
    return [Message("user", (Text(text),))]


def test_a_bias_bans_a_token_or_makes_it_certain(engine: Engine) -> None:
    plain = Sampling(max_tokens=8, temperature=0.0, ignore_eos=True, logprobs=0)
    first = engine.generate(user("hello"), plain).logprobs
    banned = first[0].chosen.id
    without = engine.generate(
        user("hello"),
        Sampling(max_tokens=8, temperature=0.0, ignore_eos=True, logprobs=0, logit_bias=((banned, -100),)),
    )
    assert banned not in [token.chosen.id for token in without.logprobs]
    forced = engine.generate(
        user("hello"),
        Sampling(max_tokens=3, temperature=1.0, seed=1, ignore_eos=True, logprobs=0, logit_bias=((65, 100.0),)),
    )
    assert [token.chosen.id for token in forced.logprobs] == [65] * 3
    with pytest.raises(OptionError, match="no token 99999") as caught:
        engine.stream(user("x"), Sampling(logit_bias=((99999, 1.0),)))
    assert (caught.value.hint or "").startswith("Its tokens are 0 to ")


def test_a_bias_that_excludes_every_token_says_what_to_do(engine: Engine) -> None:
    banned = tuple((token, -100.0) for token in range(engine.info.vocabulary))
    with pytest.raises(OptionError, match="exclude every token") as caught:
        for _ in engine.stream(user("x"), Sampling(max_tokens=1, logit_bias=banned)):
            pass
    assert caught.value.hint == "Exclude fewer tokens."


def test_log_probabilities_are_the_models_own(engine: Engine) -> None:
    sampling = Sampling(max_tokens=5, temperature=0.0, repetition_penalty=1.5, ignore_eos=True, logprobs=4)
    reply = engine.generate(user("hello"), sampling)
    assert len(reply.logprobs) == 5
    for token in reply.logprobs:
        values = [other.logprob for other in token.likeliest]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert all(value <= 0 for value in values)
        assert token.chosen.logprob <= values[0]
    ids = engine.loaded.family.prepare(engine.loaded.processor, user("hello")).inputs["input_ids"]
    with torch.inference_mode():
        logits = engine.loaded.model(input_ids=ids).logits[0, -1].float()
    assert reply.logprobs[0].chosen.logprob == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-4)
    assert reply.logprobs[0].chosen.id == int(logits.argmax())


def test_scores_are_a_distribution() -> None:
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]])
    scores = Scores(str, lambda token: str(token).encode(), 3).token(1, top_logprobs(logits, {0: 1}, {0: 3})[0])
    assert math.exp(scores.chosen.logprob) == pytest.approx(2 / 8)
    assert [(token.id, round(math.exp(token.logprob), 4)) for token in scores.likeliest] == [
        (2, 0.625),
        (1, 0.25),
        (0, 0.125),
    ]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3, 1, 2], {3: 2}),
        ([1, 2, 3, 9, 2, 4, 1, 2], {3: 2, 4: 1}),
        ([7, 7, 7], {7: 2}),
        ([1, 2, 3], {}),
    ],
)
def test_repetitions_are_measured_backwards_from_the_end(ids: list[int], expected: dict[int, int]) -> None:
    assert repetitions(ids, 50) == expected
    assert repetitions(ids, 0) == {}
    assert all(length <= 1 for length in repetitions(ids, 1).values())


class Letters:
    """Token 65 is ``A``."""

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


def test_dry_penalizes_what_would_go_round_in_circles() -> None:
    def penalty(said: str, letter: str) -> float:
        dry = DryProcessor(Dry(multiplier=2.0, base=3.0, allowed_length=2), Letters(), list(map(ord, said[:-1])))
        dry.accept(ord(said[-1]))
        logits = torch.zeros(128)
        dry.apply(logits)
        return -float(logits[ord(letter)])

    assert penalty("abcd ab", "c") == pytest.approx(2.0 * 3.0**0)
    assert penalty("abcd abc", "d") == pytest.approx(2.0 * 3.0**1)
    assert penalty("abcd a", "b") == 0.0
    assert penalty("ab\ncd ab\nc", "d") == 0.0, "a line end is a breaker: only one token is repeated"
    assert penalty("abcd abc", "x") == 0.0


def test_dry_keeps_a_model_from_repeating_itself(engine: Engine) -> None:
    def ids(dry: Dry | None) -> list[int]:
        sampling = Sampling(max_tokens=60, temperature=0.0, ignore_eos=True, logprobs=0, dry=dry)
        return [token.chosen.id for token in engine.generate(user("again and again"), sampling).logprobs]

    def repeated(tokens: list[int]) -> int:
        triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
        return len(triples) - len(set(triples))

    assert repeated(ids(Dry(50.0, allowed_length=1, breakers=()))) < repeated(ids(None))


def test_a_prompt_that_is_too_long_is_cut_only_when_asked(tiny: Tiny) -> None:
    loaded = tiny("llama")
    assert loaded.context_length is not None
    text = "word " * loaded.context_length
    with Engine(loaded) as engine:
        with pytest.raises(ContextOverflow):
            engine.stream(user(text))
        reply = engine.generate(user(text), Sampling(truncate=True, max_tokens=4, temperature=0.0))
        assert reply.usage.prompt_tokens == loaded.context_length - 4
        assert engine.generate(user("hi"), Sampling(truncate=True, max_tokens=2)).usage.prompt_tokens < 50


def test_a_prompt_with_media_is_not_cut(engine: Engine) -> None:
    text = "word " * (engine.loaded.context_length or 0)
    with pytest.raises(ContextOverflow, match="with media"):
        engine.stream([Message("user", (picture(), Text(text)))], Sampling(truncate=True))


def test_a_bare_text_goes_on_without_a_template(engine: Engine) -> None:
    ids = engine.encode("hello")
    sampling = Sampling(max_tokens=6, temperature=0.0, ignore_eos=True)
    reply = collect(engine.continue_text("hello", sampling))
    assert reply.usage.prompt_tokens == len(ids)
    assert collect(engine.continue_text(ids, sampling)).text == reply.text
    with pytest.raises(OptionError, match="no token"):
        engine.continue_text([10**6])
    with pytest.raises(ContextOverflow, match="empty"):
        engine.continue_text([])


class Processor:
    """A processor with a template."""

    def __init__(self, template: str) -> None:
        self.chat_template = template


def test_what_a_template_does_not_read_is_refused() -> None:
    import types

    loaded: Any = types.SimpleNamespace(
        processor=Processor("{% for m in messages %}{% generation %}{{ mood }}{% endgeneration %}{% endfor %}"),
        name="M",
    )
    assert template_variables(loaded.processor.chat_template) == frozenset({"messages", "mood"})
    check_template_inputs(loaded, Sampling(template_kwargs={"mood": 1}, thinking=False))
    check_template_inputs(loaded, Sampling(template_kwargs={"enable_thinking": False, "reasoning_effort": "low"}))
    assert unread(loaded, Sampling(template_kwargs={"temper": 1, "mood": 1, "enable_thinking": True})) == ["temper"]
    for wrong in (
        Sampling(template_kwargs={"temper": 1, "enable_thinking": True}),
        Sampling(template_kwargs={"messages": []}),
        Sampling(template_kwargs={"chat_template": "x"}),
        Sampling(thinking=True),
    ):
        with pytest.raises(OptionError):
            check_template_inputs(loaded, wrong)


class Pieces:
    """A tokenizer's vocabulary."""

    added_tokens_decoder = dict.fromkeys([3])

    def __init__(self, *pieces: object) -> None:
        self.pieces = pieces

    def convert_ids_to_tokens(self, token: int) -> object:
        return self.pieces[token]


def test_the_bytes_of_a_token() -> None:
    """Of a vocabulary in signs of bytes, of SentencePiece's, and of one that holds bytes itself."""
    signs = Pieces("\u0120red", "\u00f0\u0141", "\u0109", "<end>", "\u00c3\u00a9")
    told = [token_bytes(signs, token, byte_level=True) for token in range(5)]
    assert told == [b" red", b"\xf0\x9f", b"\t", b"<end>", "é".encode()]
    plain = Pieces("\u2581red", "<0xF0>", "é", "<0x0A>", b"\x9f")
    assert [token_bytes(plain, token, byte_level=False) for token in range(5)] == [
        b" red",
        b"\xf0",
        "é".encode(),
        b"<0x0A>",
        b"\x9f",
    ]


def test_a_thought_is_ended_once_its_budget_is_spent() -> None:
    begin, end, word = 1, 2, 3

    def free(*answer: int, budget: int = 2, thinking: bool = False) -> bool:
        processor = ThinkingBudget(ThinkingTokens(begin, end), budget, thinking=thinking)
        for token in answer:
            processor.accept(token)
        logits = torch.zeros(5)
        processor.apply(logits)
        return bool(logits.isfinite().all()) or logits.argmax().item() != end

    assert free()
    assert free(begin)
    assert free(begin, word)
    assert not free(begin, word, word)
    assert free(begin, word, word, end)
    assert free(begin, word, word, end, word)
    assert not free(begin, word, word, end, word, begin)
    assert not free(budget=0, thinking=True)
