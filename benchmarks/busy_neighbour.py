"""Seconds that an answer takes beside busy loops, by number of threads and by how long a waiting thread spins.

    python -m benchmarks.busy_neighbour [--model demo] [--tokens 32] [--neighbours 0 1 2] [--rounds 3]

Each setting is a process of its own that stays loaded, since OpenMP reads its waiting policy once; they answer in turn.
A neighbour is a process that only counts. The best of all rounds is printed, as seconds and as a multiple of the
best setting without neighbours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WAITING: dict[str, dict[str, str]] = {
    "OpenMP's own": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1,000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10,000": {"GOMP_SPINCOUNT": "10000"},
}

WORKER = """
import sys, time
import torch
from mistralrs import ChatCompletionRequest, Runner, Which
model, threads, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
kind = Which.MultimodalPlain if model == "demo" else Which.Plain
runner = Runner(kind(model_id=model), prefix_cache_n=0)
request = ChatCompletionRequest("Tell me a story.", max_tokens=tokens, temperature=0, ignore_eos=True)
runner.send_chat_completion_request(request)
print("ready", flush=True)
for _ in sys.stdin:
    begin = time.perf_counter()
    runner.send_chat_completion_request(request)
    print(time.perf_counter() - begin, flush=True)
"""

Worker = subprocess.Popen[str]


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that only count."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def start(model: str, threads: int, tokens: int, waiting: dict[str, str]) -> Worker:
    """A loaded model that answers once for each line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, model, str(threads), str(tokens)],
        env=kept | waiting,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def seconds(worker: Worker) -> float:
    """How long its next answer takes."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    settings = [(threads, name) for threads in chosen.threads for name in (WAITING if threads > 1 else ["passive"])]
    workers = {at: start(chosen.model, at[0], chosen.tokens, WAITING[at[1]]) for at in settings}
    try:
        for worker in workers.values():
            assert worker.stdout is not None
            worker.stdout.readline()
        best: dict[tuple[tuple[int, str], int], float] = {}
        for count in chosen.neighbours:
            with neighbours(count):
                for _ in range(chosen.rounds):
                    for at, worker in workers.items():
                        best[at, count] = min(best.get((at, count), float("inf")), seconds(worker))
        base = min(best[at, chosen.neighbours[0]] for at in settings)
        print(f"{chosen.model}, {chosen.tokens} tokens, {os.cpu_count()} cores: seconds (multiple of the best alone)")
        print(f"{'threads':>7}  {'waiting':14}" + "".join(f"{f'{count} busy':>16}" for count in chosen.neighbours))
        for at in settings:
            cells = [f"{best[at, count]:8.2f} ({best[at, count] / base:4.1f})" for count in chosen.neighbours]
            print(f"{at[0]:7}  {at[1]:14}" + "".join(f"{cell:>16}" for cell in cells))
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


if __name__ == "__main__":
    main()
