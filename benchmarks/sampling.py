"""CPU milliseconds of sampling a step's tokens: greedy, at once, and one by one with transformers' warpers.

    python -m benchmarks.sampling [--rounds 5] [--tokens 24] [--threads 1]

First the sampler alone, for 1 and 8 sequences and three vocabularies, on logits as peaked as a trained model's (Zipf's
law, shuffled). Then whole steps through the engine, with a random Llama of 2 layers and 151,936 tokens. One by one is
how the engine sampled before. Process time does not count what else runs; the best round is printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from transformers import LogitsProcessorList, MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper
from transformers import TopPLogitsWarper as TopP

from mistralrs_cli.engine import Engine, group
from mistralrs_cli.engine.sampling.batch import Sampled, sample
from mistralrs_cli.engine.sampling.params import SamplingParams
from mistralrs_cli.engine.sampling.sampler import SequenceSampler
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import TEXT, randomized
from tests.checkpoints.tokens import template, tokenizer

VOCABULARIES = (32_000, 151_936, 262_144)
SETTINGS = {
    "greedy": SamplingParams(0.0),
    "top_k 20, top_p 0.8": SamplingParams(0.7, 20, 0.8),
    "top_k 40, top_p 0.95, min_p 0.05": SamplingParams(0.8, 40, 0.95, 0.05),
    "top_p 0.9": SamplingParams(0.7, 0, 0.9),
    "temperature alone": SamplingParams(0.7),
}
GENERATOR = torch.Generator()


def one_by_one(logits: torch.Tensor, samplers: Sequence[SequenceSampler]) -> list[Sampled | Exception]:
    """Each row through transformers' warpers, and a draw from the whole vocabulary."""
    found: list[Sampled | Exception] = []
    for row, sampler in enumerate(samplers):
        params, scores = sampler.params, logits[row : row + 1]
        if params.greedy:
            token = scores.argmax(-1, keepdim=True)
        else:
            token = torch.multinomial(warpers(params)(scores, scores).softmax(-1), 1, generator=GENERATOR)
        found.append(Sampled(int(token)))
    return found


def warpers(params: SamplingParams) -> Any:
    """What ``generate`` builds."""
    built = LogitsProcessorList([TemperatureLogitsWarper(params.temperature)])
    if params.top_k:
        built.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        built.append(TopP(params.top_p))
    if params.min_p:
        built.append(MinPLogitsWarper(params.min_p))
    return built


def milliseconds(function: Callable[[], object], rounds: int, times: int = 5) -> float:
    """The CPU time of a call, in the best of some rounds."""
    function()
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(times):
            function()
        best = min(best, (time.process_time() - begin) / times)
    return best * 1000


def peaked(rows: int, vocabulary: int) -> torch.Tensor:
    """Logits of Zipf's law with exponent 1.5, each row in an order of its own."""
    ranks = torch.stack([torch.randperm(vocabulary) for _ in range(rows)])
    return -1.5 * (ranks + 1.0).log()


def alone(rounds: int) -> None:
    """Measure and print the sampler alone."""
    print(f"{'vocabulary':>10} {'sequences':>9}  {'':32} {'one by one':>10} {'at once':>8}")
    for vocabulary in VOCABULARIES:
        for rows in (1, 8):
            logits = peaked(rows, vocabulary)
            for name, params in SETTINGS.items():
                samplers = [SequenceSampler(params) for _ in range(rows)]
                before = milliseconds(lambda: one_by_one(logits, samplers), rounds)  # noqa: B023
                after = milliseconds(lambda: sample(logits, samplers), rounds)  # noqa: B023
                print(f"{vocabulary:>10,} {rows:>9}  {name:32} {before:>10.2f} {after:>8.2f}")


def build(folder: Path) -> None:
    """A random Llama of 2 layers with a large vocabulary, of which the tokenizer names few."""
    tokens = tokenizer()
    tokens.chat_template = template()
    shape = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(**(TEXT | shape | heads | {"vocab_size": 151_936}))
    randomized(transformers.LlamaForCausalLM(config)).save_pretrained(folder)
    tokens.save_pretrained(folder)


def step(engine: Engine, requests: int, tokens: int, sampling: Sampling) -> float:
    """CPU milliseconds of a step, prompts included."""
    messages = [Message("user", (Text("hello"),))]
    begin = time.process_time()
    with ThreadPoolExecutor(requests) as pool:
        list(pool.map(lambda _: engine.generate(messages, sampling), range(requests)))
    return (time.process_time() - begin) * 1000 / tokens


def whole_steps(rounds: int, tokens: int, threads: int) -> None:
    """Measure and print steps of the engine."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        options = ModelOptions(model_id=folder, dtype="f32", cpu=True, threads=threads)
        loaded = load(open_checkpoint(options), options)
    common = {"max_tokens": tokens, "ignore_eos": True}
    greedy = Sampling(temperature=0.0, **common)  # type: ignore[arg-type]
    drawn = Sampling(temperature=0.7, top_k=20, top_p=0.8, min_p=0.0, **common)  # type: ignore[arg-type]
    print(f"\n{'requests':>8} {'greedy':>8} {'sampled':>8} {'ratio':>6} {'one by one':>11} {'ratio':>6}")
    with Engine(loaded) as engine:
        for requests in (1, 8):
            rows = []
            for _ in range(rounds):
                now = [step(engine, requests, tokens, sampling) for sampling in (greedy, drawn)]
                with patch.object(group, "sample", one_by_one):
                    rows.append((*now, step(engine, requests, tokens, drawn)))
            base, after, before = map(min, zip(*rows, strict=True))
            ratios = after / base, before / base
            print(f"{requests:>8} {base:>8.1f} {after:>8.1f} {ratios[0]:>6.2f} {before:>11.1f} {ratios[1]:>6.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    ensure_importable()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        alone(given.rounds)
    whole_steps(given.rounds, given.tokens, given.threads)


if __name__ == "__main__":
    main()
