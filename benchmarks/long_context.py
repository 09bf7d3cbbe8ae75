"""How much slower decoding gets with a long context: the engine beside transformers' ``generate``, and llama.cpp.

    python -m benchmarks.long_context [--tokens 1024 8192] [--dtype f32] [--threads 1] [--gguf FILE]

Slowdown is the time of a token by that at the first length. The model is a random one of SmolLM2-135M's shape with a
context that is long enough; ``--tokens 1024 32768`` takes minutes. All answer the same prompt of random tokens
greedily, in one process, taking turns. ``--gguf`` adds llama.cpp on that file, where ``llama-cpp-python`` is installed.
CPU time of the whole process is counted, so that other work on the machine counts for less.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from mistralrs_cli.engine import Engine
from mistralrs_cli.events import TextDelta
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import TEXT, randomized
from tests.checkpoints.tokens import template, tokenizer

SMOLLM2 = {"hidden_size": 576, "intermediate_size": 1536, "head_dim": 64}
HEADS = {"num_attention_heads": 9, "num_key_value_heads": 3}
CONTEXT = 1 << 17

Run = Callable[[list[int], int], tuple[float, float]]  # prompt and answer's tokens: seconds of prefill, and of a token


def build(folder: Path, layers: int) -> None:
    """A random Llama of SmolLM2's shape, but for its vocabulary."""
    tokens = tokenizer()
    tokens.chat_template = template()
    given = TEXT | SMOLLM2 | HEADS | {"max_position_embeddings": CONTEXT, "num_hidden_layers": layers}
    randomized(
        transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(tokens), **given))
    ).save_pretrained(folder)
    tokens.save_pretrained(folder)


class Times:
    """CPU seconds of the process at every token; a streamer for ``generate``, which puts the prompt first."""

    def __init__(self) -> None:
        self.begun = time.process_time()
        self.at: list[float] = []
        self._prompt = True

    def put(self, value: Any) -> None:
        """Note one more token."""
        if not self._prompt:
            self.note()
        self._prompt = False

    def note(self) -> None:
        """Note one more token."""
        self.at.append(time.process_time())

    def end(self) -> None:
        """Nothing more comes."""

    @property
    def result(self) -> tuple[float, float]:
        """Seconds until the first token, and the median between two tokens."""
        steps = [later - earlier for earlier, later in zip(self.at, self.at[1:], strict=False)]
        return self.at[0] - self.begun, median(steps)


def ours(engine: Engine) -> Run:
    """The engine."""

    def run(prompt: list[int], tokens: int) -> tuple[float, float]:
        times = Times()
        sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True, logprobs=0)
        with engine.continue_text(prompt, sampling) as events:
            for event in events:
                if not isinstance(event, TextDelta) and type(event).__name__ == "TokenLogprobs":
                    times.note()
        return times.result

    return run


def theirs(loaded: LoadedModel) -> Run:
    """transformers' ``generate``, with its own attention function and cache."""

    def run(prompt: list[int], tokens: int) -> tuple[float, float]:
        times = Times()
        ids = torch.tensor([prompt])
        options = {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens, "eos_token_id": None}
        loaded.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), streamer=times, **options)
        return times.result

    return run


def llama_cpp(file: str, threads: int, context: int) -> Run:
    """llama.cpp through llama-cpp-python."""
    llama = import_module("llama_cpp").Llama(
        file, n_ctx=context + 64, n_threads=threads, n_threads_batch=threads, verbose=False, flash_attn=True
    )

    def run(prompt: list[int], tokens: int) -> tuple[float, float]:
        llama.reset()
        times = Times()
        for _, _ in zip(llama.generate(prompt, temp=0.0), range(tokens), strict=False):
            times.note()
        return times.result

    return run


def loaded(folder: str, options: argparse.Namespace) -> LoadedModel:
    """The model, for one of those that share this process."""
    chosen = ModelOptions(model_id=folder, dtype=options.dtype, cpu=True, threads=options.threads)
    return load(open_checkpoint(chosen), chosen)


def main() -> None:
    """Measure and print a row for each engine and length of the context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--answer", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--layers", type=int, default=30, help="fewer take less time, and change no slowdown")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="f32", choices=["bf16", "f32"])
    parser.add_argument("--gguf", help="a GGUF file for llama.cpp")
    given = parser.parse_args()
    ensure_importable()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), given.layers)
        models = [loaded(folder, given) for _ in range(2)]  # the engine's decoder attends in its own way
    engine, quantized = Engine(models[0]), Engine(models[0], kv_cache_type="q8")
    runs = {"transformers": theirs(models[1]), "mistralrs": ours(engine), "mistralrs q8": ours(quantized)}
    if given.gguf:
        runs["llama.cpp"] = llama_cpp(given.gguf, given.threads, max(given.tokens))
    print(f"{given.layers} layers, {given.dtype}, {given.threads} thread(s), CPU seconds, torch {torch.__version__}")
    print(f"{'':14} {'context':>8} {'prefill':>10} {'a token':>10} {'slowdown':>9} {'to transformers':>16}")
    firsts: dict[str, float] = {}
    for context in given.tokens:
        prompt = random.Random(context).choices(range(50, 250), k=context)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(given.rounds):
            for name, run in runs.items():
                took[name].append(run(prompt, given.answer))
        slower: dict[str, float] = {}
        for name, times in took.items():
            prefill, token = (min(each) for each in zip(*times, strict=True))
            slower[name] = token / firsts.setdefault(name, token)
            row = f"{name:14} {context:>8,} {prefill:>8.2f} s {token * 1000:>7.1f} ms {slower[name]:>9.2f}"
            print(f"{row} {slower[name] / slower['transformers']:>16.2f}", flush=True)
    engine.close()
    quantized.close()


if __name__ == "__main__":
    main()
