"""Rows that attend across to pictures: joined where they see equally much, and each its own picture."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mistralrs_cli.engine.runner.prefill import prefill
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Text
from tests.checkpoints.media import picture
from tests.engine.batches import Batch

Tiny = Callable[[str], LoadedModel]


def begin(loaded: LoadedModel, *parts: DecodedMedia | str) -> SequenceState:
    message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
    inputs = loaded.family.prepare(loaded.processor, [message]).inputs
    row, logits = prefill(loaded.model, inputs)
    row.append(int(logits.argmax()))
    return row


@torch.inference_mode()
def decoded(loaded: LoadedModel, *prompts: tuple[DecodedMedia | str, ...]) -> list[list[int]]:
    """Eight tokens for each prompt, all in one batch."""
    batch, rows = Batch(loaded), [begin(loaded, *prompt) for prompt in prompts]
    for row in rows:
        batch.add(row)
    for _ in range(8):
        logits = batch.step()
        for index, row in enumerate(rows):
            row.append(int(logits[index].argmax()))
    return [row.ids[0, row.prompt_tokens :].tolist() for row in rows]


@pytest.mark.parametrize(
    "prompts",
    [
        [(picture(1), "what"), ("a longer question, and its picture is ", picture(2, 30, 90)), (picture(3), "so")],
        [(picture(1), picture(2), "what"), ("between ", picture(3), " two ", picture(1, 90, 30))],
        [("hello",), ("a longer text",)],
    ],
)
def test_rows_that_see_equally_much_answer_joined_as_alone(
    tiny: Tiny, prompts: list[tuple[DecodedMedia | str, ...]]
) -> None:
    loaded = tiny("mllama")
    alone = [decoded(loaded, prompt)[0] for prompt in prompts]
    assert decoded(loaded, *prompts) == alone
    assert len({tuple(answer) for answer in alone}) == len(alone)


def test_alone_equals_generate(tiny: Tiny) -> None:
    loaded = tiny("mllama")
    first, second = picture(1, 30, 90), picture(2)
    message = Message("user", (first, Text("what"), second))
    inputs = loaded.family.prepare(loaded.processor, [message]).inputs
    expected = loaded.model.generate(**inputs, do_sample=False, max_new_tokens=9, min_new_tokens=9, eos_token_id=None)
    assert decoded(loaded, (first, "what", second)) == [expected[0, inputs["input_ids"].shape[1] :].tolist()]


@torch.inference_mode()
def test_only_equal_lengths_are_joined(tiny: Tiny) -> None:
    loaded = tiny("mllama")
    rows = [begin(loaded, *parts) for parts in (("text",), (picture(1), "a"), (picture(2, 30, 90), "b"))]
    assert all(row.cache is not None and row.cache.batchable for row in rows)
    lengths: list[Any] = [row.cache.batch_key for row in rows if row.cache is not None]
    assert lengths[0] == ()
    assert lengths[1] == lengths[2]
    assert len(lengths[1]) == 2
