"""Which replica a key belongs to."""

import math
from collections import Counter

from mistralrs_cli.server.replicas.ring import HashRing, capacity, first_below, homes, position, ranked

NAMES = [f"replica-{number}" for number in range(10)]
KEYS = [f"conversation {number}" for number in range(2000)]


def test_a_place_on_the_ring_is_the_same_in_every_process() -> None:
    assert position("a") == 0x40F89E395B66422F


def test_keys_are_spread_over_all_replicas() -> None:
    ring = HashRing(NAMES)
    shares = Counter(next(ring.walk(key)) for key in KEYS)
    assert set(shares) == set(NAMES)
    assert max(shares.values()) < 2 * len(KEYS) / len(NAMES)


def test_a_replica_that_goes_takes_only_its_own_keys() -> None:
    before, after = HashRing(NAMES), HashRing(NAMES[1:])
    for key in KEYS:
        owner = next(before.walk(key))
        if owner != NAMES[0]:
            assert next(after.walk(key)) == owner


def test_a_new_replica_takes_about_its_share_from_the_others() -> None:
    before, after = HashRing(NAMES[1:]), HashRing(NAMES)
    moved = [key for key in KEYS if next(before.walk(key)) != next(after.walk(key))]
    assert {next(after.walk(key)) for key in moved} == {NAMES[0]}
    assert 0.03 < len(moved) / len(KEYS) < 0.2


def test_a_walk_meets_every_replica_once() -> None:
    assert sorted(HashRing(NAMES).walk("any")) == sorted(NAMES)
    assert list(HashRing(()).walk("any")) == []
    assert ranked(HashRing(()), "any", {}) == []
    assert first_below(HashRing(()), "any", {}) is None


def test_a_popular_key_does_not_drown_a_replica() -> None:
    ring, loads = HashRing(NAMES), Counter[str]()
    for _ in range(1000):
        most = capacity(loads, len(NAMES))
        chosen = ranked(ring, "the same for all", loads)[0]
        assert chosen == first_below(ring, "the same for all", loads)
        loads[chosen] += 1
        assert max(loads.values()) <= most
    assert max(loads.values()) <= math.ceil(1.25 * 1000 / len(NAMES))


def test_a_few_answers_of_one_key_stay_together() -> None:
    ring, loads = HashRing(NAMES), Counter[str]()
    for _ in range(4):
        loads[ranked(ring, "one", loads)[0]] += 1
    assert len(loads) == 1


def test_without_a_key_the_least_busy_one_comes_first() -> None:
    loads = dict.fromkeys(NAMES, 3) | {NAMES[4]: 1}
    assert ranked(HashRing(NAMES), None, loads)[0] == NAMES[4]


def test_replicas_to_avoid_come_last() -> None:
    ring = HashRing(NAMES)
    first, second, *_ = ranked(ring, "key", {})
    again = ranked(ring, "key", {}, avoid=(first,))
    assert again[0] == second
    assert again[-1] == first
    assert sorted(again) == sorted(NAMES)


def test_models_take_turns_at_being_held() -> None:
    replicas = ["r0", "r1", "r2", "r3"]
    assert [homes(replicas, model, 2, 1) for model in range(2)] == [{"r0", "r2"}, {"r1", "r3"}]
    assert [homes(replicas, model, 3, 2) for model in range(3)] == [
        {"r0", "r1", "r3"},
        {"r0", "r2", "r3"},
        {"r1", "r2"},
    ]
    assert [homes(["r0"], model, 3, 1) for model in range(3)] == [{"r0"}] * 3
    assert homes([], 1, 3, 1) == set()
