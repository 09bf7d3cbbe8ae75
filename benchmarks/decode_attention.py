"""Milliseconds that one token attends to a long cache, as transformers does it and as the engine does.

    python -m benchmarks.decode_attention [--tokens 300 2000 8000] [--threads 1] [--rounds 20]

Both are measured in turn in one process; the best of all rounds is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from mistralrs_cli.engine.runner.attention import attend

# query heads, heads of the cache and their width in published configurations
MODELS = {
    "Qwen3-VL 4B": (32, 8, 128),
    "Gemma 3n E4B": (8, 2, 256),
    "Phi-3.5 Vision": (32, 32, 96),
}


def milliseconds(function: Callable[..., Any], *given: Any) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    function(*given)
    return (time.perf_counter() - begin) * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[300, 2000, 8000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"one layer, {chosen.threads} thread(s), torch {torch.__version__}, milliseconds")
    print(f"{'':16}{'':10}{'tokens':>8}{'transformers':>14}{'here':>8}{'ratio':>7}")
    for name, (heads, kept, width) in MODELS.items():
        module: Any = SimpleNamespace(num_key_value_groups=heads // kept)
        for dtype in (torch.float32, torch.bfloat16):
            for tokens in chosen.tokens:
                query = torch.randn(1, heads, 1, width, dtype=dtype)
                key, value = (torch.randn(1, kept, tokens, width, dtype=dtype) for _ in range(2))
                best = [float("inf")] * 2
                with torch.inference_mode():
                    for _ in range(chosen.rounds):
                        for at, function in enumerate((sdpa_attention_forward, attend)):
                            took = milliseconds(function, module, query, key, value, None)
                            best[at] = min(best[at], took)
                kind = str(dtype).removeprefix("torch.")
                print(f"{name:16}{kind:10}{tokens:8}{best[0]:14.2f}{best[1]:8.2f}{best[0] / best[1]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
