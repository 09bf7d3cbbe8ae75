"""Branches of a stem are computed together and come out as if each had been alone."""

import random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tools.demo_model import attention, checkpoint
from tools.demo_model.batches import Source
from tools.demo_model.conversations import Topic
from tools.demo_model.language import answer_logits
from tools.demo_model.media import Medium, Pool
from tools.demo_model.prompts import Branch, Encoder, Prompt
from tools.demo_model.questions import Exchange
from tools.demo_model.schedule import orthogonal
from tools.demo_model.train import TARGET


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(PreTrainedTokenizerFast.from_pretrained(TARGET))


def prompt(encoder: Encoder, kind: str, data: torch.Tensor, questions: list[str]) -> Prompt:
    exchanges = iter([Exchange("", question, f"Answer to {question}") for question in questions])
    topic = Topic((), (Medium(kind, None, data),), lambda: next(exchanges))  # type: ignore[arg-type]
    return encoder.prompt(topic, len(questions), random.Random(4))


def alone(prompt: Prompt, branch: Branch) -> Prompt:
    """The same conversation as one stem whose last token is the only branch."""
    ids, labels = prompt.stem.ids + branch.ids, prompt.stem.labels + branch.labels
    return Prompt(Branch(ids[:-1], labels[:-1]), [Branch(ids[-1:], labels[-1:])], prompt.seen, prompt.heard)


def test_a_branch_sees_its_stem_and_itself_only(encoder: Encoder) -> None:
    model = checkpoint.new_model(encoder.tokenizer)
    model.model.language_model.set_attn_implementation(attention.NAME)
    torch.manual_seed(0)
    prompts = [
        prompt(encoder, "image", torch.randn(20, 128), ["What is this?", "Red?", "How many squares are there?"]),
        prompt(encoder, "audio", torch.randn(9, 192), ["Transcribe this.", "Is it low?"]),
    ]
    together = answer_logits(model, encoder, prompts)[0]
    apart = [answer_logits(model, encoder, [alone(p, branch)])[0] for p in prompts for branch in p.branches]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-4)


def test_only_answers_are_learnt(encoder: Encoder) -> None:
    (branch,) = prompt(encoder, "image", torch.randn(5, 128), ["What is this?"]).branches
    learnt = [token for token, label in zip(branch.ids, branch.labels, strict=True) if label == token]
    assert encoder.tokenizer.decode(learnt) == "Answer to What is this?<turn|>"


@pytest.mark.parametrize(
    ("answer", "learnt"),
    [
        ("I listen for no and hear no yes, so yes.", " no yes"),
        ("First a red star, then a blue star: the color changes, the shape stays.", " changes stays"),
        ("First two red stars, then a red star: the count changes, so yes.", " changes yes"),
        ("A red star stays still.", ""),
    ],
)
def test_of_an_answer_about_other_media_only_what_needs_none_is_learnt(
    encoder: Encoder, answer: str, learnt: str
) -> None:
    media = (Medium("image", None, torch.randn(5, 128)),)
    topic = Topic((), media, lambda: Exchange("", "?", "A star."), lambda: Exchange("", "Does no stay?", answer))
    _, branch = encoder.prompt(topic, 1, random.Random(4), supposed=1).branches
    kept = [token for token, label in zip(branch.ids, branch.labels, strict=True) if label == token]
    assert encoder.tokenizer.decode(kept) == learnt


@pytest.mark.parametrize("shape", [(2, 24, 64), (2, 64, 24)])
def test_orthogonal_steps_are_as_large_in_every_direction(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    sizes = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert sizes.shape == (2, 24)
    assert sizes.min() > 0.5
    assert sizes.max() < 1.4


def test_what_is_answered_worse_is_asked_more_often(encoder: Encoder) -> None:
    source = Source(Pool([], [], []), encoder, {"text": 1.0}, random.Random(6))
    prompts = [source.prompt("text", 40)]
    losses = [0.0, *(1.0 if branch.intent == "who" else 0.01 for branch in prompts[0].branches)]
    source.learn(prompts, losses)
    asked = [branch.intent for branch in source.prompt("text", 300).branches]
    assert source.focus(":who") > 1 > source.focus(":greet")
    assert asked.count("who") > 2 * asked.count("greet") > 0
