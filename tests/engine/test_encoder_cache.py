"""What towers made of media is kept by its content, within its bytes, and for nobody else."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.encoders.cache import WORKER, EncoderCache, wrap
from mistralrs_cli.families.encoder import Encoder
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.media import picture

Tiny = Callable[[str], LoadedModel]


class Eyes(torch.nn.Module):
    """A base model whose encoders say how many items they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    @property
    def base_model(self) -> torch.nn.Module:
        return self

    def look(self, pixels: torch.Tensor, *, factor: object = 2.0) -> torch.Tensor:
        self.seen.append(len(pixels))
        return pixels * float(str(factor))

    def watch(self, pixels: torch.Tensor, grid: torch.Tensor) -> BaseModelOutputWithPooling:
        self.seen.append(len(grid))
        features = list((pixels[::2] + 1).split([int(size) // 2 for size in grid.prod(-1)]))
        return BaseModelOutputWithPooling(last_hidden_state=pixels, pooler_output=features)  # type: ignore[arg-type]

    def sum(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(pixels))
        return pixels.sum(0)


ROWS = torch.arange(12.0).reshape(4, 3)
LOOK, WATCH, SUM = Encoder("look"), Encoder("watch", sizes="grid"), Encoder("sum")


@pytest.fixture
def eyes() -> Any:
    made = Eyes()
    wrap(made, (LOOK, WATCH, SUM))
    wrap(made, (LOOK,))  # another engine over the same model
    EncoderCache(1 << 20).activate()
    yield made
    WORKER.cache = None


def test_only_items_that_are_new_are_looked_at(eyes: Eyes) -> None:
    assert torch.equal(eyes.look(ROWS[:2]), ROWS[:2] * 2)
    assert torch.equal(eyes.look(ROWS[[3, 1, 2, 3]]), ROWS[[3, 1, 2, 3]] * 2)
    assert torch.equal(eyes.look(ROWS), ROWS * 2)
    assert eyes.seen == [2, 2]
    assert (WORKER.cache.hits, WORKER.cache.misses) == (2 + 4, 2 + 2)


def test_packed_items_are_told_apart_by_their_sizes(eyes: Eyes) -> None:
    grid = torch.tensor([[1, 2], [3, 2]])
    pixels = torch.arange(16.0).reshape(8, 2)
    first = eyes.watch(pixels, grid)
    assert [len(features) for features in first.pooler_output or ()] == [1, 3]
    turned = eyes.watch(torch.cat([pixels[2:], pixels[:2]]), grid.flip(0))
    assert turned.pooler_output is not None
    assert torch.equal(torch.cat(list(turned.pooler_output)), torch.cat([pixels[2:], pixels[:2]])[::2] + 1)
    assert eyes.seen == [2]
    other = eyes.watch(pixels, grid.flip(0))  # the same pixels in other shapes
    assert [len(features) for features in other.pooler_output or ()] == [3, 1]
    assert eyes.seen == [2, 2]


def test_whatever_could_change_a_result_changes_its_key(eyes: Eyes) -> None:
    assert torch.equal(eyes.look(ROWS, factor=3), ROWS * 3)
    assert torch.equal(eyes.look(ROWS), ROWS * 2)
    assert torch.equal(eyes.look(ROWS.double()), ROWS.double() * 2)
    assert torch.equal(eyes.look(ROWS.reshape(4, 3, 1)), ROWS.reshape(4, 3, 1) * 2)
    assert torch.equal(eyes.look(-ROWS), -ROWS * 2)
    assert eyes.seen == [4] * 5


def test_what_is_not_as_declared_runs_every_time(eyes: Eyes) -> None:
    class Two:
        def __str__(self) -> str:
            return "2"

    for _ in range(2):
        assert torch.equal(eyes.sum(ROWS), ROWS.sum(0))
        assert torch.equal(eyes.look(ROWS, factor=Two()), ROWS * 2)
    assert eyes.seen == [4] * 4
    assert len(WORKER.cache) == 0


def test_the_longest_unused_goes_first_and_nothing_holds_more_than_it_says(eyes: Eyes) -> None:
    row = 3 * 4  # bytes
    cache = EncoderCache(2 * row)
    cache.activate()
    eyes.look(ROWS[:2])
    eyes.look(ROWS[:1])
    eyes.look(ROWS[2:3])
    assert cache.taken == 2 * row
    assert all(kept.untyped_storage().nbytes() == row for kept in cache._kept.values())
    eyes.look(ROWS[:1])
    assert eyes.seen == [2, 1]
    eyes.look(ROWS[1:2])
    assert eyes.seen == [2, 1, 1]
    eyes.look(torch.ones(1, 100))
    assert cache.taken == 2 * row
    cache.clear()
    assert (cache.taken, len(cache)) == (0, 0)


def test_other_threads_have_no_part_in_it(eyes: Eyes) -> None:
    for _ in range(2):
        thread = threading.Thread(target=eyes.look, args=(ROWS,))
        thread.start()
        thread.join()
    assert eyes.seen == [4, 4]


def test_a_copy_of_the_model_looks_with_its_own_eyes(eyes: Eyes) -> None:
    twin = copy.deepcopy(eyes)
    twin.look(ROWS)
    assert (eyes.seen, twin.seen) == ([], [4])


def test_engines_over_one_model_keep_their_own_and_let_go_at_the_end(tiny: Tiny) -> None:
    question = [Message("user", (picture(31), Text("what")))]
    sampling = Sampling(max_tokens=2, temperature=0.0)
    with Engine(tiny("gemma3"), prefixes=4) as one, Engine(tiny("gemma3"), prefixes=4) as other:
        for engine in (one, one, other):
            engine.generate(question, sampling)
        assert [(engine.encoded.hits, engine.encoded.misses) for engine in (one, other)] == [(1, 1), (0, 1)]
        assert len(one.prefixes) > 0
    assert [len(engine.encoded) + len(engine.prefixes) for engine in (one, other)] == [0, 0]


def test_without_the_option_nothing_is_kept(tiny: Tiny) -> None:
    with Engine(tiny("gemma3")) as engine:
        engine.generate([Message("user", (picture(32), Text("what")))], Sampling(max_tokens=2))
        assert (engine.encoded.misses, len(engine.encoded)) == (0, 0)
