"""How requests are spread over many replicas: balance, reuse of KV caches, and what a lost replica costs. Simulated.

    python -m benchmarks.routing [--replicas 100] [--conversations 100000] [--seed 1]

A conversation has a few turns with pauses between them; each turn sends all of it again. A replica keeps the KV caches
of its last conversations. Some conversations share one key, as when many clients begin with the same question. No
model runs: this is about where requests go, and uses the code of ``mistralrs serve --replicas`` for it.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mistralrs_cli.server.replicas.ring import HashRing, first_below, position

TURNS = 5.0  # on average
FIRST, LATER = 600, 250  # tokens of a first question with its system prompt, and of a later turn with the answer before
PAUSE = 60.0  # seconds between an answer and the next turn, on average
PREFILL, DECODE = 4000.0, 3.0  # tokens a second; seconds that an answer takes beside its prompt
BUSY = 8.0  # requests that a replica answers at a time, on average
KEPT = 256  # conversations whose caches a replica keeps
POPULAR = 0.05  # of the conversations have one and the same key


@dataclass
class Conversation:
    """One client's turns."""

    number: int
    key: str
    turns: int
    done: int = 0

    @property
    def prompt(self) -> int:
        """Tokens of the next turn's prompt."""
        return FIRST + LATER * self.done


@dataclass
class Cluster:
    """What all replicas run and keep."""

    names: list[str]
    loads: dict[str, int] = field(default_factory=dict)
    kept: dict[str, OrderedDict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ring = HashRing(self.names)
        self.loads = dict.fromkeys(self.names, 0)
        self.kept = {name: OrderedDict() for name in self.names}

    def lose(self, name: str) -> None:
        """A replica ends, with its caches."""
        self.names.remove(name)
        self.ring = HashRing(self.names)
        del self.kept[name], self.loads[name]

    def prefill(self, name: str, conversation: Conversation) -> int:
        """Tokens of the prompt that its replica has to process; it keeps the conversation then."""
        kept = self.kept[name]
        had = kept.pop(conversation.number, 0)
        kept[conversation.number] = conversation.prompt
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return conversation.prompt - had


Policy = Callable[[Cluster, Conversation, random.Random], str]


def at_random(cluster: Cluster, conversation: Conversation, chance: random.Random) -> str:
    """Any replica."""
    return chance.choice(cluster.names)


def least_busy(cluster: Cluster, conversation: Conversation, chance: random.Random) -> str:
    """The one that runs least of two, as Ray Serve chooses by itself."""
    one, other = chance.choice(cluster.names), chance.choice(cluster.names)
    return min(one, other, key=cluster.loads.__getitem__)


def by_remainder(cluster: Cluster, conversation: Conversation, chance: random.Random) -> str:
    """The key's hash modulo the number of replicas."""
    return cluster.names[position(conversation.key) % len(cluster.names)]


def by_ring(cluster: Cluster, conversation: Conversation, chance: random.Random) -> str:
    """Consistent hashing without a bound."""
    return next(cluster.ring.walk(conversation.key))


def by_bounded_ring(cluster: Cluster, conversation: Conversation, chance: random.Random) -> str:
    """Consistent hashing with bounded loads: what ``--replicas`` does."""
    found = first_below(cluster.ring, conversation.key, cluster.loads)
    assert found is not None
    return found


POLICIES: dict[str, Policy] = {
    "random": at_random,
    "less busy of two": least_busy,
    "hash modulo replicas": by_remainder,
    "consistent hashing": by_ring,
    "consistent hashing, bounded": by_bounded_ring,
}


@dataclass
class Outcome:
    """What happened to all prompts: their tokens, those reused, the worst load, and both after a loss."""

    tokens: int = 0
    reused: int = 0
    worst: float = 0.0
    later_tokens: int = 0
    later_reused: int = 0

    @property
    def share(self) -> float:
        """Of all prompt tokens, those that a cache had."""
        return self.reused / self.tokens

    @property
    def later(self) -> float:
        """The same in the minute after a replica was lost."""
        return self.later_reused / max(1, self.later_tokens)


def simulate(policy: Policy, replicas: int, conversations: int, seed: int, *, lose: bool = False) -> Outcome:
    """All conversations through one policy; ``lose`` ends a replica half way."""
    chance, outcome = random.Random(seed), Outcome()
    cluster = Cluster([f"replica-{number}" for number in range(replicas)])
    answer = DECODE + FIRST / PREFILL
    rate = BUSY * replicas / (TURNS * answer)  # conversations a second
    arrivals = beginnings(conversations, rate, chance)
    events: list[tuple[float, int, str, Conversation]] = []
    count = 0
    lost_at = conversations / rate / 2 if lose else float("inf")
    lost_until = lost_at + 60.0
    upcoming = next(arrivals, None)
    while events or upcoming:
        if upcoming is not None and (not events or upcoming[0] <= events[0][0]):
            now, name, conversation = upcoming[0], "", upcoming[1]
            upcoming = next(arrivals, None)
        else:
            now, _, name, conversation = heapq.heappop(events)
        if now >= lost_at:
            lost_at = float("inf")
            cluster.lose(cluster.names[replicas // 2])
        count += 1
        if name:  # an answer has ended
            if name in cluster.loads:
                cluster.loads[name] -= 1
            conversation.done += 1
            if conversation.done < conversation.turns:
                heapq.heappush(events, (now + chance.expovariate(1 / PAUSE), count, "", conversation))
            continue
        name = policy(cluster, conversation, chance)
        cluster.loads[name] += 1
        processed = cluster.prefill(name, conversation)
        outcome.tokens += conversation.prompt
        outcome.reused += conversation.prompt - processed
        if lose and lost_until - 60.0 <= now < lost_until:
            outcome.later_tokens += conversation.prompt
            outcome.later_reused += conversation.prompt - processed
        running = sum(cluster.loads.values())
        if running > BUSY * replicas / 2:  # the load of an almost idle cluster says nothing
            outcome.worst = max(outcome.worst, cluster.loads[name] * len(cluster.names) / running)
        took = processed / PREFILL + chance.expovariate(1 / DECODE)
        heapq.heappush(events, (now + took, count, name, conversation))
    return outcome


def beginnings(count: int, rate: float, chance: random.Random) -> Iterator[tuple[float, Conversation]]:
    """When conversations begin."""
    now = 0.0
    for number in range(count):
        now += chance.expovariate(rate)
        key = "popular" if chance.random() < POPULAR else f"conversation {number}"
        yield now, Conversation(number, key, 1 + int(chance.expovariate(1 / (TURNS - 1))))


def main(argv: list[str] | None = None) -> None:
    """Print the table of docs/scaling.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    print("| how replicas are chosen | prompt tokens reused | busiest / average | reused in the minute after a loss |")
    print("|---|---|---|---|")
    for name, policy in POLICIES.items():
        usual = simulate(policy, given.replicas, given.conversations, given.seed)
        lost = simulate(policy, given.replicas, given.conversations, given.seed, lose=True)
        print(f"| {name} | {usual.share:.1%} | {usual.worst:.2f} | {lost.later:.1%} |", flush=True)


if __name__ == "__main__":
    main()
