"""What a running batch job does to interactive requests: their time to the first token and between tokens.

    python -m benchmarks.priority [--model DIR] [--requests 6] [--rows 4] [--tokens 16] [--seconds 10]

One engine. Interactive questions are asked one after the other, in turn alone, beside a batch of twice as many lines as
there are rows, so that some always wait, and beside as many requests of the same priority, which is what a batch would
be without priorities. Each of the three gets so many requests a round, or those that begin within so many seconds, and
is printed when it is done.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from threading import Event, Thread

from mistralrs_cli.engine import Engine
from mistralrs_cli.events import TextDelta
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Priority, Sampling

WORDS = tuple("what is in the picture that the second one has and the first has not".split())  # noqa: SIM905


@dataclass
class Times:
    """Seconds of each request: to the first token, and between two tokens."""

    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)


def question(seed: int, words: int) -> list[Message]:
    """A question that no other begins like."""
    return [Message("user", (Text(" ".join([str(seed), *random.Random(seed).choices(WORDS, k=words)])),))]


def ask(engine: Engine, seed: int, tokens: int, times: Times) -> None:
    """One interactive request."""
    begun = time.perf_counter()
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
    moments = [
        time.perf_counter() for event in engine.stream(question(seed, 100), sampling) if isinstance(event, TextDelta)
    ]
    times.first.append(moments[0] - begun)
    times.between.append((moments[-1] - moments[0]) / (tokens - 1))


@contextmanager
def busy(engine: Engine, count: int, priority: Priority, answered: list[int]) -> Iterator[None]:
    """Within the block ``count`` requests of a priority are answered or wait at a time, one after the other."""
    stop = Event()

    def work(number: int) -> None:
        sampling = Sampling(max_tokens=64, temperature=0.0, ignore_eos=True, priority=priority)
        seed = number
        while not stop.is_set():
            seed += count
            with engine.stream(question(10_000 + seed, 200), sampling) as stream:
                for event in stream:
                    answered[0] += isinstance(event, TextDelta)
                    if stop.is_set():
                        break

    threads = [Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)  # until all are under way
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--requests", type=int, default=6)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    options = ModelOptions(model_id=given.model, dtype="f32", cpu=True)
    cases = {name: Times() for name in ("alone", "beside a batch", "beside equals")}
    tokens = {name: [0] for name in cases}
    spent = dict.fromkeys(cases, 0.0)
    with Engine(load(open_checkpoint(options), options), max_rows=given.rows) as engine:
        ask(engine, -1, given.tokens, Times())
        for round_number in range(given.rounds):
            for name, times in cases.items():
                others = 0 if name == "alone" else 2 * given.rows
                priority: Priority = "batch" if name == "beside a batch" else "interactive"
                with busy(engine, others, priority, tokens[name]):
                    begun, before = time.perf_counter(), tokens[name][0]
                    for number in range(given.requests):
                        ask(engine, 1000 * round_number + number, given.tokens, times)
                        if time.perf_counter() - begun > given.seconds:
                            break
                        time.sleep(0.1)
                    seconds, made = time.perf_counter() - begun, tokens[name][0] - before
                spent[name] += seconds
                tokens[name].append(made)
                print(f"round {round_number + 1}: {name}, {seconds:.1f} s", file=sys.stderr, flush=True)
    asked = f"Requests of about 100 words, {given.tokens} tokens each"
    print(f"{asked}, {given.rows} rows, beside {2 * given.rows} others; milliseconds, medians")
    print(f"{'':16} {'requests':>8} {'first token':>12} {'slowest':>9} {'per token':>10} {'others, tok/s':>14}")
    for name, times in cases.items():
        others = sum(tokens[name][1:]) / spent[name]
        print(
            f"{name:16} {len(times.first):8} {1000 * median(times.first):12.0f} {1000 * max(times.first):9.0f} "
            f"{1000 * median(times.between):10.1f} {others:14.1f}"
        )


if __name__ == "__main__":
    main()
