"""The share of prompt tokens that prefix caches serve, with 1, 2 and 4 replicas, beside random routing.

    python -m benchmarks.reuse [--conversations 200] [--at-once 24] [--replicas 1 2 4]

A fixed mix of conversations, drawn once with a seed: five system prompts, questions of different lengths, some with an
image, up to five turns, many conversations at a time. Each replica is an engine of its own with the caches of
``mistralrs serve``; all share the demo model's weights and run one after the other, so nothing here is about speed.
Requests go where ``mistralrs serve --replicas`` would send them. The answers must not depend on the routing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
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
WORDS = ("red circle", "blue square", "green triangle", "beep", "left", "right", "moves", "turns", "above", "and")
SYSTEMS = [f"You are assistant {number}. " + " ".join(WORDS * number) for number in range(1, 6)]


def words(chance: random.Random, most: int) -> str:
    """Between four and ``most`` words."""
    return " ".join(chance.choices(WORDS, k=chance.randint(4, most)))


def mix(conversations: int, at_once: int, seed: int = 1) -> tuple[list[tuple[str, str | None, list[str]]], list[int]]:
    """System prompt, image and questions of each conversation, and whose turn it is, in order."""
    chance = random.Random(seed)
    found = [
        (
            chance.choice(SYSTEMS),
            chance.choice(IMAGES) if chance.random() < 0.25 else None,
            [f"{number}: {words(chance, 40)}?", *(f"{words(chance, 15)}?" for _ in range(chance.randint(0, 4)))],
        )
        for number in range(conversations)
    ]
    left = [len(questions) for *_, questions in found]
    running, waiting = list(range(min(at_once, conversations))), list(range(at_once, conversations))
    order = []
    while running:
        number = chance.choice(running)
        order.append(number)
        left[number] -= 1
        if not left[number]:
            running.remove(number)
            running += [waiting.pop(0)] if waiting else []
    return found, order


def measure(loaded: Any, replicas: int, policy: str, given: tuple[Any, list[int]]) -> tuple[float, list[str]]:
    """The share of prompt tokens that were reused, and all answers."""
    conversations, order = given
    chance, ring = random.Random(2), HashRing([f"replica-{number}" for number in range(replicas)])
    history: dict[int, list[Message]] = {}
    turn: dict[int, int] = {}
    tokens = reused = 0
    answers = []
    with contextlib.ExitStack() as stack:
        engines = {name: stack.enter_context(Engine(loaded, prefixes=16)) for name in sorted(ring.replicas)}
        for number in order:
            system, image, questions = conversations[number]
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
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    options = ModelOptions(dtype="f32", cpu=True, threads=1)
    loaded = load(open_checkpoint(options), options)
    given = mix(chosen.conversations, chosen.at_once)
    print(
        f"{chosen.conversations} conversations, {len(given[1])} turns, {chosen.at_once} at a time, demo model, float32"
    )
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
