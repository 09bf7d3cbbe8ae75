"""A prompt that goes on from an earlier one is answered as if it were new, and prefills only what is new."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.group import DecodeGroup
from mistralrs_cli.engine.kv.prefix import Plan, Prefix, PrefixStore, Span
from mistralrs_cli.engine.kv.snapshot import Snapshot
from mistralrs_cli.events import Reply, collect
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.messages import DecodedMedia, Message, Role, Text
from mistralrs_cli.options import Sampling
from tests.checkpoints.builders import BUILDERS
from tests.checkpoints.media import clip, picture, sound

Tiny = Callable[[str], LoadedModel]
Turn = tuple[DecodedMedia | str, ...]
GREEDY = Sampling(temperature=0.0, max_tokens=9, ignore_eos=True, logprobs=0)
LONG = "tell me everything there is to see and to hear in it, slowly and in order, and then once more"


@pytest.fixture
def engines(tiny: Tiny) -> Iterator[Callable[[str], tuple[Engine, Engine]]]:
    """An engine that keeps caches, and one that keeps none."""
    made: list[Engine] = []

    def pair(name: str) -> tuple[Engine, Engine]:
        loaded = tiny(name)
        made.extend([Engine(loaded, max_rows=4, prefixes=8), Engine(loaded, max_rows=4)])
        return made[-2], made[-1]

    yield pair
    for engine in made:
        engine.close()


def talk(*turns: Turn) -> list[Message]:
    roles: tuple[Role, Role] = ("user", "assistant")
    return [
        Message(roles[i % 2], tuple(Text(part) if isinstance(part, str) else part for part in turn))
        for i, turn in enumerate(turns)
    ]


def first_medium(engine: Engine) -> DecodedMedia | str:
    makers: dict[str, Callable[[int], DecodedMedia]] = {
        "image": picture,
        "audio": lambda seed: sound(1.0, 220.0 * (1 + seed)),
        "video": clip,
    }
    kinds = [kind for kind in makers if kind in engine.loaded.family.modalities]
    return makers[kinds[0]](1) if kinds else "no medium "


def second_medium(engine: Engine) -> DecodedMedia | str:
    first = first_medium(engine)
    if isinstance(first, str):
        return "none either "
    return picture(2, 40, 72) if first.kind == "image" else sound(0.5, 990.0)


def same(keeping: Engine, plain: Engine, messages: list[Message]) -> Reply:
    """The keeping engine's answer, which must be the plain one's."""
    answer, wanted = keeping.generate(messages, GREEDY), plain.generate(messages, GREEDY)
    assert answer.text == wanted.text
    assert scores(answer) == pytest.approx(scores(wanted), abs=1e-4)
    return answer


def scores(reply: Reply) -> list[float]:
    """How sure the model was of each token: closer to what it computed than the tokens alone."""
    return [token.chosen.logprob for token in reply.logprobs]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_conversation_goes_on(name: str, engines: Any) -> None:
    """A follow-up, another medium, the same again, an earlier turn said otherwise: each equal to a full run."""
    keeping, plain = engines(name)
    medium, other = first_medium(keeping), second_medium(keeping)
    start = [(medium, f"what is it? {LONG}")]
    first = same(keeping, plain, talk(*start))
    assert first.usage.cached_tokens == 0
    family = keeping.loaded.family
    on = [*start, ("a cat",), ("and which colour?",)]
    second = same(keeping, plain, talk(*on))
    if (
        family.rope_switch_length is not None
    ):  # these prompts lie on both sides of its limit: what is reused depends on it
        same(keeping, plain, talk(*on, ("red",), (other, "and this?")))
        return
    if not family.prefix_reuse:
        assert second.usage.cached_tokens == 0
        return
    media = sum(getattr(first.usage, f"{kind}_tokens") for kind in ("image", "audio", "video"))
    assert second.usage.cached_tokens > max(media, first.usage.prompt_tokens - 30)
    more = talk(*on, ("red",), (other, "and this?"))
    for _ in range(2):
        reused = same(keeping, plain, more).usage.cached_tokens
        assert (reused > media) == family.prepare(keeping.loaded.processor, more).reusable
    changed = same(keeping, plain, talk(*start, ("a dog",), ("how old?",)))
    assert changed.usage.cached_tokens > media
    if isinstance(medium, DecodedMedia):
        replaced = same(keeping, plain, talk((other, f"what is it? {LONG}"), ("a cat",), ("and which colour?",)))
        assert replaced.usage.cached_tokens < 30


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])
def test_positions_that_a_family_states_hold_for_the_next_turn(
    name: str, engines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their text after a long clip begins where transformers does not let it begin.

    Published checkpoints leave the size of clips to their class: at least 128 tokens a time step, too many for a tiny
    context that should hold more time steps than a frame has columns.
    """
    keeping, plain = engines(name)  # which makes torchvision importable, and with it this:
    from transformers.image_utils import SizeDict

    small = SizeDict(shortest_edge=28 * 28, longest_edge=8 * 28 * 28)
    monkeypatch.setattr(keeping.loaded.processor.video_processor, "size", small)
    start = [(clip(1, 24, fps=1.0), "what happens?"), ("a lot",), ("and then?",)]
    prepared = keeping.loaded.family.prepare(keeping.loaded.processor, talk(*start))
    times, height, width = prepared.inputs["video_grid_thw"][0].tolist()  # in patches, two by two to a token
    assert times > max(height, width) // 2
    same(keeping, plain, talk(*start[:1]))
    assert same(keeping, plain, talk(*start)).usage.cached_tokens > 48
    more = [*start, ("nothing",), (picture(3), "like this? ", clip(2, 20, fps=1.0), "or this?")]
    assert same(keeping, plain, talk(*more)).usage.cached_tokens > 70


@pytest.mark.parametrize("name", ["gemma4", "qwen3_vl", "qwen3_5"])
def test_two_conversations_at_once_never_share_their_pictures(name: str, engines: Any) -> None:
    """Same words, same placeholders, other pictures, interleaved."""
    keeping, plain = engines(name)
    pictures = [picture(5), picture(6)]
    talks: list[list[Turn]] = [[(one, f"what is it? {LONG}")] for one in pictures]
    for turn in ("a cat", "red", "no"):
        streams = [keeping.stream(talk(*turns), GREEDY) for turns in talks]
        answers = [collect(stream) for stream in streams]
        expected = [plain.generate(talk(*turns), GREEDY) for turns in talks]
        assert [answer.text for answer in answers] == [answer.text for answer in expected]
        assert [scores(answer) for answer in answers] == [pytest.approx(scores(it), abs=1e-4) for it in expected]
        assert scores(answers[0]) != pytest.approx(scores(answers[1]), abs=1e-3)
        talks = [[*turns, (turn,), ("and then?",)] for turns in talks]


def test_an_answer_that_was_broken_off_leaves_what_it_had(engines: Any) -> None:
    keeping, plain = engines("qwen3_vl")
    start = talk((picture(1), LONG))
    with keeping.stream(start, Sampling(temperature=0.0, max_tokens=400, ignore_eos=True)) as events:
        for _ in range(4):
            next(events)
    while keeping.running:
        pass
    on = same(keeping, plain, [*start, Message("assistant", (Text("x"),)), Message("user", (Text("go on"),))])
    assert on.usage.cached_tokens > on.usage.image_tokens


def test_a_rate_is_that_of_the_tokens_which_were_read(engines: Any) -> None:
    keeping, _ = engines("llama")
    start = talk((LONG,))
    first = keeping.generate(start, GREEDY)
    further = [Message("assistant", (Text(first.text),)), Message("user", (Text("go on"),))]
    more = keeping.generate([*start, *further], GREEDY)
    for reply in (first, more):
        read = reply.usage.prompt_tokens - reply.usage.cached_tokens
        assert 0 < reply.timing.prefill <= reply.timing.first_token
        assert reply.timing.prompt_rate(reply.usage) == pytest.approx(read / reply.timing.prefill)
    assert more.usage.cached_tokens > 0


def test_preparing_a_prompt_is_part_of_the_wait(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, engine = engines("llama")
    prepare = engine.loaded.family.prepare

    def slowly(*words: Any) -> Any:
        time.sleep(0.2)
        return prepare(*words)

    monkeypatch.setattr(engine.loaded.family, "prepare", slowly)
    timing = engine.generate(talk(("Hi",)), GREEDY).timing
    assert timing.first_token >= 0.2 + timing.prefill


def test_an_answer_is_kept_before_its_end_is_told(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends the next turn at once, before the worker has done anything else, must find it."""
    keeping, _ = engines("llama")
    keep = keeping.prefixes.keep

    def slowly(*kept: Any) -> None:
        time.sleep(0.2)
        keep(*kept)

    monkeypatch.setattr(keeping.prefixes, "keep", slowly)
    keeping.generate(talk((LONG,)), GREEDY)
    assert len(keeping.prefixes) == 1


def test_neither_who_waits_nor_who_runs_keeps_a_cache_from_being_dropped(engines: Any) -> None:
    keeping, plain = engines("llama")
    on = talk((LONG,), ("a cat",), ("and then?",))
    same(keeping, plain, talk((LONG,)))
    gates = threading.Event(), threading.Event()
    admit, step = keeping._scheduler._admit, DecodeGroup.step

    def wait_to_begin() -> None:
        gates[0].wait(60)
        admit()

    def wait_to_go_on(lane: DecodeGroup) -> None:
        gates[1].wait(60)
        step(lane)

    with (
        mock.patch.object(keeping._scheduler, "_admit", wait_to_begin),
        mock.patch.object(DecodeGroup, "step", wait_to_go_on),
    ):
        waiting, running = keeping.stream(on, GREEDY), keeping.stream(on, GREEDY)
        held = weakref.ref(keeping.prefixes._kept[0].stored.cache)
        gates[0].set()
        while not any(group.answers for group in list(keeping._scheduler._groups.values())):  # until it is prefilled
            pass
        assert keeping.waiting == 1
        keeping.prefixes.clear()
        dropped_by = time.monotonic() + 10  # the worker may be on its way out of the prefill
        while held() is not None and time.monotonic() < dropped_by:
            gc.collect()
        assert held() is None
        gates[1].set()
        answers = [collect(stream) for stream in (waiting, running)]
    assert [answer.text for answer in answers] == [plain.generate(on, GREEDY).text] * 2
    assert answers[0].usage.cached_tokens > 0, "it had begun while the cache was there"
    assert answers[1].usage.cached_tokens == 0


def test_a_longer_cache_may_take_the_place_of_the_one_that_was_planned_with() -> None:
    store = PrefixStore(4, 1 << 20)
    asked, span = prefix([1, 9, 9, 2, 3, 8], (1, 3, b"a")), (1, 3, b"a")
    store.keep(prefix([1, 9, 9, 2, 3], span), stored(5))
    plan = Plan(5, {})
    assert store.take(asked, plan) is not None
    store.keep(prefix([1, 9, 9, 2, 3, 4, 5], span), stored(7))
    assert len(store) == 1
    reuse = store.take(asked, plan)
    assert reuse is not None
    assert (reuse.tokens, reuse.stored.tokens) == (5, 7)
    store.clear()
    for other in prefix([1, 9, 9, 2, 3], (1, 3, b"b")), prefix([1, 9, 9, 2], span), prefix([1, 9, 9, 2, 4], span):
        store.keep(other, stored(len(other.ids)))
    store.keep(prefix([1, 9, 9, 2, 3, 7], span), stored(6, croppable=False))
    assert store.take(asked, plan) is None


def test_without_the_option_nothing_is_kept(tiny: Tiny) -> None:
    with Engine(tiny("llama"), max_rows=2) as engine:
        engine.generate(talk((LONG,)), GREEDY)
        assert engine.generate(talk((LONG,)), GREEDY).usage.cached_tokens == 0


IMAGE = 99


def prefix(ids: list[int], *spans: tuple[int, int, bytes], reuse_key: object = None) -> Prefix:
    return Prefix(tuple(ids), tuple(Span(*span) for span in spans), reuse_key)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (prefix([1, 2, 3]), prefix([1, 2, 3, 4]), 3),
        (prefix([1, 2, 3]), prefix([1, 5, 3]), 1),
        (prefix([1, 2], reuse_key="a"), prefix([1, 2], reuse_key="b"), 0),
        (prefix([1, 9, 9, 2, 3], (1, 3, b"a")), prefix([1, 9, 9, 2, 4], (1, 3, b"a")), 4),
        (prefix([1, 9, 9, 2], (1, 3, b"a")), prefix([1, 9, 9, 2], (1, 3, b"b")), 1),
        (prefix([1, 9, 9, 9], (1, 4, b"a")), prefix([1, 9, 9, 2], (1, 3, b"a")), 1),
        (prefix([1, 9, 9, 2]), prefix([1, 9, 9, 2], (1, 3, b"a")), 1),  # placeholders that were no medium
        (prefix([1, 9, 2, 9, 3], (1, 2, b"a"), (3, 4, b"b")), prefix([1, 9, 2, 9, 3], (1, 2, b"a"), (3, 4, b"c")), 3),
    ],
)
def test_what_two_prompts_have_in_common(one: Prefix, other: Prefix, common: int) -> None:
    assert one.common(other) == other.common(one) == common


def stored(tokens: int, *, croppable: bool = True) -> Snapshot:
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    layer: Any = DynamicLayer() if croppable else DynamicSlidingWindowLayer(4)
    layer.update(torch.ones(1, 1, tokens, 2), torch.ones(1, 1, tokens, 2))
    cache = DynamicCache()
    cache.layers = [layer]
    return Snapshot(cache, tokens)


def test_the_longest_match_wins_and_the_last_token_is_always_run() -> None:
    store = PrefixStore(4, 1 << 20)
    store.keep(prefix([1, 2]), stored(2))
    store.keep(prefix([1, 5, 6, 7]), stored(4))
    assert (store.find(prefix([1, 5, 6, 7])) or (None, 0))[1] == 3
    assert (store.find(prefix([1, 2, 3])) or (None, 0))[1] == 2
    assert store.find(prefix([8])) is None


def test_a_medium_is_never_split_by_the_last_token() -> None:
    store = PrefixStore(4, 1 << 20)
    store.keep(prefix([1, 9, 9], (1, 3, b"a")), stored(3))
    assert (store.find(prefix([1, 9, 9], (1, 3, b"a"))) or (None, 0))[1] == 1


def test_what_forgets_is_used_whole_or_not_at_all() -> None:
    store = PrefixStore(4, 1 << 20)
    store.keep(prefix([1, 2, 3, 4, 5]), stored(5, croppable=False))
    assert store.find(prefix([1, 2, 3, 7])) is None
    assert (store.find(prefix([1, 2, 3, 4, 5, 6])) or (None, 0))[1] == 5


def test_a_longer_cache_replaces_those_it_covers() -> None:
    store = PrefixStore(4, 1 << 20)
    store.keep(prefix([1, 2]), stored(2))
    store.keep(prefix([1, 2, 3]), stored(3))
    assert len(store) == 1
    store.keep(prefix([1, 2, 3, 4, 5, 6]), stored(6, croppable=False))
    assert len(store) == 2


def test_the_oldest_goes_first_by_number_and_by_bytes() -> None:
    store = PrefixStore(2, 1 << 20)
    for token in (1, 2, 3):
        store.keep(prefix([token, 0]), stored(2))
        if token == 2:
            store.find(prefix([1, 0, 0]))  # used, so no longer the oldest
    assert store.find(prefix([2, 0, 0])) is None
    assert store.find(prefix([1, 0, 0])) is not None
    small = PrefixStore(9, 2 * stored(8).size)
    for token in (1, 2, 3):
        small.keep(prefix([token] * 8), stored(8))
    assert len(small) == 2
    small.keep(prefix([7] * 100), stored(100))
    assert len(small) == 2
