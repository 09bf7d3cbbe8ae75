"""Tokens per second of N requests at once: the engine's joined decoding beside transformers' ``generate`` in turn.

    python -m benchmarks.joined_decode [--requests 1 2 4 8] [--tokens 64] [--threads 1] [--hidden 768] [--layers 12]

Both sides run the same random Llama on the same prompts, greedily, in one process, alternating. Speed does not depend
on what weights say. The answers are compared by their ASCII letters, since random weights also make bytes that are
no text.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import torch
import transformers

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import TEXT, randomized
from tests.checkpoints.tokens import template, tokenizer


def build(folder: Path, hidden: int, layers: int) -> None:
    """A random Llama; its byte-level vocabulary is small, so nearly all of the time goes into the layers."""
    tokens = tokenizer()
    tokens.chat_template = template()
    shape = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "head_dim": 64}
    heads = {"num_attention_heads": hidden // 64, "num_key_value_heads": 4}
    config = transformers.LlamaConfig(vocab_size=len(tokens), num_hidden_layers=layers, **(TEXT | shape | heads))
    model = randomized(transformers.LlamaForCausalLM(config))
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)


def conversations(count: int) -> list[list[Message]]:
    """Prompts of different lengths."""
    return [
        [Message("user", (Text(f"Request {index}. " + "Some words. " * (index % 5 + 1)),))] for index in range(count)
    ]


def joined(engine: Engine, count: int, sampling: Sampling) -> tuple[float, list[str]]:
    """Seconds until all answers of ``count`` concurrent requests are there, and the answers."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        replies = list(pool.map(lambda messages: engine.generate(messages, sampling), conversations(count)))
    return time.perf_counter() - begin, [letters(reply.text) for reply in replies]


def letters(text: str) -> str:
    """What two ways of decoding invalid UTF-8 agree on."""
    return "".join(letter for letter in text if letter.isascii())


def in_turn(loaded: LoadedModel, count: int, tokens: int) -> tuple[float, list[str]]:
    """The same with ``model.generate``, one request after the other."""
    begin, answers = time.perf_counter(), []
    for messages in conversations(count):
        prepared = loaded.family.prepare(loaded.processor, messages)
        ids = loaded.model.generate(
            **prepared.inputs, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, eos_token_id=None
        )
        answers.append(letters(loaded.tokenizer.decode(ids[0, prepared.prompt_tokens :], skip_special_tokens=True)))
    return time.perf_counter() - begin, answers


def main() -> None:
    """Measure and print one row for each number of requests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ensure_importable()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), given.hidden, given.layers)
        options = ModelOptions(model_id=folder, dtype="f32", cpu=True, threads=given.threads)
        loaded = load(open_checkpoint(options), options)
    size = sum(parameter.numel() for parameter in loaded.model.parameters()) / 1e6
    print(
        f"{size:.0f} M parameters, float32, {given.threads} threads, {given.tokens} tokens an answer, "
        f"torch {torch.__version__}"
    )
    print(f"{'requests':>8} {'generate in turn':>18} {'joined':>12} {'ratio':>6}  same answers")
    sampling = Sampling(max_tokens=given.tokens, temperature=0.0, ignore_eos=True)
    with Engine(loaded) as engine:
        joined(engine, 1, sampling)
        for count in given.requests:
            pairs = [
                (in_turn(loaded, count, given.tokens), joined(engine, count, sampling)) for _ in range(given.rounds)
            ]
            rates = [median(count * given.tokens / side[0] for side in sides) for sides in zip(*pairs, strict=True)]
            same = all(one[1] == other[1] for one, other in pairs)
            ratio = median(one[0] / other[0] for one, other in pairs)
            print(f"{count:>8} {rates[0]:>12.1f} tok/s {rates[1]:>6.1f} tok/s {ratio:>6.2f}  {'yes' if same else 'NO'}")


if __name__ == "__main__":
    main()
