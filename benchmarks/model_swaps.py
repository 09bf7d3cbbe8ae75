"""Does unloading a model give its memory back, however often two models take turns?

    python -m benchmarks.model_swaps [--swaps 50] [MODEL]

Two models, of which one may be in memory, answer by turns: the demo model and MODEL, by default a random one of 30 MB.
Prints the resident memory of the process while the demo model is loaded, which should not grow, and the time a swap
takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from mistralrs import ChatCompletionRequest, Runner
from mistralrs_cli.sizes import readable

WARM = 5
"""Swaps that are not counted: what is imported and allocated once comes with them."""


def swaps(model: str, count: int) -> tuple[list[int], list[int], list[float]]:
    """Resident bytes with the demo model loaded and with the other, after each swap, and the seconds of each."""
    process = psutil.Process()
    small: list[int] = []
    large: list[int] = []
    seconds: list[float] = []
    question = ChatCompletionRequest("Hello", max_tokens=8, temperature=0, ignore_eos=True)
    with Runner({"demo": "demo", "other": model}, max_models_loaded=1, cpu=True) as runner:
        for number in range(count + WARM):
            name = ("other", "demo")[number % 2]
            begun = time.process_time()
            runner.send_chat_completion_request(question, name)
            if number >= WARM:
                seconds.append(time.process_time() - begun)
                (small if name == "demo" else large).append(process.memory_info().rss)
    return small, large, seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?")
    parser.add_argument("--swaps", type=int, default=50)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        model = given.model
        if model is None:
            from tests.checkpoints.builders import build

            model = str(build("llama", Path(folder)))
        small, large, seconds = swaps(model, given.swaps)
    took = statistics.median(seconds)
    print(f"{given.swaps} swaps after {WARM}, {took:.2f} s of CPU time each (median, with an answer)")
    for name, found in (("demo", small), ("other", large)):
        tenth = max(1, len(found) // 5)
        first, last = statistics.median(found[:tenth]), statistics.median(found[-tenth:])
        print(
            f"resident with {name:5} loaded: first {readable(int(first))}, last {readable(int(last))}, "
            f"least {readable(min(found))}, most {readable(max(found))}"
        )


if __name__ == "__main__":
    main()
