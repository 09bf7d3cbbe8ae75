"""Consistent hashing with bounded loads: which replica a key belongs to."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b

POINTS = 128  # of each replica on the ring; its share of the keys then differs by about a tenth
FACTOR = 1.25  # how far above the average load a replica may go, as in the paper
FREE = 16  # answers that a replica runs before it can count as overloaded: half of its batch


def position(text: str) -> int:
    """A place on the ring: 64 bits, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class HashRing:
    """The replicas on a ring. A key belongs to the next one clockwise; a replica that goes takes only its own keys."""

    def __init__(self, replicas: Collection[str], points: int = POINTS) -> None:
        self.replicas = frozenset(replicas)
        placed = sorted((position(f"{name}:{number}"), name) for name in self.replicas for number in range(points))
        self._places = [place for place, _ in placed]
        self._names = [name for _, name in placed]

    def walk(self, key: str) -> Iterator[str]:
        """Every replica once, clockwise from the key's place."""
        begin, seen = bisect(self._places, position(key)), set()
        for step in range(len(self._names)):
            name = self._names[(begin + step) % len(self._names)]
            if name not in seen:
                seen.add(name)
                yield name
                if len(seen) == len(self.replicas):
                    return


def capacity(loads: Mapping[str, int], replicas: int, factor: float = FACTOR, free: int = FREE) -> int:
    """How many answers a replica may run, one more included: ``ceil(factor * (running + 1) / replicas)``.

    It is the bound of "Consistent Hashing with Bounded Loads" (Mirrokni, Thorup, Zadimoghaddam, 2016), except that
    ``free`` answers are always allowed: they share a batch, so that moving them would lose their cache for nothing.
    """
    return max(free, math.ceil(factor * (sum(loads.values()) + 1) / max(1, replicas)))


def homes(replicas: Collection[str], model: int, models: int, loaded: int) -> set[str]:
    """The replicas that hold a model, the ``model``-th of ``models`` of which each replica has ``loaded`` in memory.

    Places go round: the first replica holds the first models, the second the next ones. A model for which there is no
    place shares that of another.
    """
    order = sorted(replicas)
    found = {
        name
        for number, name in enumerate(order)
        if any((number * loaded + place) % models == model for place in range(loaded))
    }
    return found or ({order[model % len(order)]} if order else set())


def ranked(
    ring: HashRing,
    key: str | None,
    loads: Mapping[str, int],
    avoid: Collection[str] = (),
    *,
    factor: float = FACTOR,
    free: int = FREE,
    near: Collection[str] | None = None,
) -> list[str]:
    """The replicas in the order in which a request should try them.

    Clockwise from its key, those below their capacity first; the one that runs least first where there is no key.
    Those that are ``near`` come before others, and replicas to ``avoid`` last.
    """
    if key is None:
        order = sorted(ring.replicas, key=lambda name: (loads.get(name, 0), name))
    else:
        most = capacity(loads, len(ring.replicas), factor, free)
        walked = list(ring.walk(key))
        order = sorted(walked, key=lambda name: loads.get(name, 0) >= most)  # a stable sort keeps the walk
    return sorted(order, key=lambda name: (name in avoid, near is not None and name not in near))


def first_below(
    ring: HashRing, key: str, loads: Mapping[str, int], *, factor: float = FACTOR, free: int = FREE
) -> str | None:
    """The first of ``ranked`` for a key, without walking the whole ring; ``None`` for an empty one."""
    most = capacity(loads, len(ring.replicas), factor, free)
    first: str | None = None
    for name in ring.walk(key):
        if loads.get(name, 0) < most:
            return name
        first = first or name
    return first
