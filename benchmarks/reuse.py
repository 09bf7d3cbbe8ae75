"""The share of prompt tokens that prefix caches serve, with 1, 2 and 4 replicas, beside random routing.

    python -m benchmarks.reuse [--mix FILE] [--replicas 1 2 4]

The mix is recorded in ``conversations.jsonl``, a conversation a line: its system prompt, its image if it has one, its
questions, and when each was asked. There are five system prompts, questions of different lengths and up to five turns,
many conversations at a time. Each replica is an engine of its own with the caches of
``mistralrs serve``; all share the demo model's weights and run one after the other, so nothing here is about speed.
Requests go where ``mistralrs serve --replicas`` would send them. The answers must not depend on the routing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.media.reading import read_media
from mistralrs_cli.messages import MediaRef, Message, Text
from mistralrs_cli.options import MediaPolicy, ModelOptions, Sampling
from mistralrs_cli.server.replicas.affinity import conversation_key
from mistralrs_cli.server.replicas.ring import HashRing

GREEDY = Sampling(temperature=0.0, max_tokens=4)
SAMPLES = Path(__file__).parents[1] / "examples" / "media"
IMAGES = ("red_circle.png", "before.png", "after.png")
MIX = Path(__file__).with_name("conversations.jsonl")


@dataclass(frozen=True)
class Recorded:
    """A conversation: ``asked`` is the place of each question among those of all conversations."""

    system: str
    image: str | None
    questions: list[str]
    asked: list[int]


def read(path: Path) -> list[Recorded]:
    """The conversations of a file."""
    return [Recorded(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(loaded: Any, replicas: int, policy: str, conversations: list[Recorded]) -> tuple[float, list[str]]:
    """The share of prompt tokens that were reused, and all answers."""
    order = [number for _, number in sorted((at, n) for n, one in enumerate(conversations) for at in one.asked)]
    chance, ring = random.Random(2), HashRing([f"replica-{number}" for number in range(replicas)])
    history: dict[int, list[Message]] = {}
    turn: dict[int, int] = {}
    tokens = reused = 0
    answers = []
    with contextlib.ExitStack() as stack:
        engines = {name: stack.enter_context(Engine(loaded, prefixes=16)) for name in sorted(ring.replicas)}
        for number in order:
            one = conversations[number]
            system, image, questions = one.system, one.image, one.questions
            if number not in history:
                media = (MediaRef("image", str(SAMPLES / image)),) if image else ()
                (read,) = read_media(
                    [Message("user", (*media, Text(questions[0])))],
                    MediaPolicy(),
                    rate=loaded.family.audio_rate,
                    sampling=loaded.family.sampling,
                )
                history[number] = [Message("system", (Text(system),)), read]
            else:
                history[number].append(Message("user", (Text(questions[turn[number]]),)))
            body = {
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": [image, questions[0]]}]
            }
            key = conversation_key("/v1/chat/completions", json.dumps(body).encode()) or ""
            name = next(ring.walk(key)) if policy == "affinity" else chance.choice(sorted(ring.replicas))
            reply = engines[name].generate(history[number], GREEDY)
            history[number].append(Message("assistant", (Text(reply.text),)))
            turn[number] = turn.get(number, 0) + 1
            tokens += reply.usage.prompt_tokens
            reused += reply.usage.cached_tokens
            answers.append(reply.text)
    return reused / tokens, answers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", type=Path, default=MIX)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    options = ModelOptions(dtype="f32", cpu=True, threads=1)
    loaded = load(open_checkpoint(options), options)
    given = read(chosen.mix)
    turns = sum(len(one.questions) for one in given)
    print(f"{len(given)} conversations, {turns} turns, demo model, float32")
    print("| replicas | by conversation | random |")
    print("|---|---|---|")
    expected: list[str] | None = None
    for replicas in chosen.replicas:
        shares = []
        for policy in ("affinity", "random"):
            share, answers = measure(loaded, replicas, policy, given)
            shares.append(share)
            expected = expected or answers
            assert answers == expected, "an answer depends on the routing"
        print(f"| {replicas} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
