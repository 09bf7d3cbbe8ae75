"""How long a running answer stops for another request's prompt, and how much longer that prompt takes for it.

    python -m benchmarks.prefill_interference [--tokens 6144] [--images 20] [--edge 448] [--clock wall|cpu]

A random model of Qwen3-VL's shape answers a request. Meanwhile a long text arrives, then many images. Each is also run
alone, and the text once more without chunks. Speed does not depend on what weights say. "without" is the prompt's time
beside the answer less the answer's own decode steps. ``--clock cpu`` counts the process's own seconds, for a machine
that does other work; it wants one thread. ``--model`` measures the text with a checkpoint.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import torch
import transformers

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.group import DecodeGroup
from mistralrs_cli.engine.runner.prefill import Prefill
from mistralrs_cli.events import TokenLogprobs, collect
from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import randomized
from tests.checkpoints.builders.qwen3_vl import QWEN, QWEN_TEMPLATE, qwen_ids, qwen_text, qwen_vision
from tests.checkpoints.media import picture
from tests.checkpoints.tokens import template, tokenizer

BRIEF = Sampling(max_tokens=1, temperature=0.0, ignore_eos=True)
Clock = Callable[[], float]


@dataclass(frozen=True)
class Measured:
    """Seconds: of the prompt until its first token, of the answer's steps meanwhile, between its tokens, of a chunk."""

    prompt: float
    steps: float
    gaps: list[float]
    chunk: float
    text: str


def build(folder: Path, hidden: int, layers: int) -> None:
    """A random Qwen3-VL with a small vocabulary, so that nearly all of the time goes into the layers."""
    tokens = tokenizer(QWEN)
    text = qwen_text(
        tokens,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        head_dim=64,
        num_attention_heads=hidden // 64,
        num_key_value_heads=4,
        num_hidden_layers=layers,
        max_position_embeddings=32768,
    )
    text["rope_parameters"] |= {"mrope_section": [12, 10, 10]}
    vision = qwen_vision(
        depth=8, hidden_size=384, intermediate_size=1536, num_heads=6, out_hidden_size=hidden,
        num_position_embeddings=784, deepstack_visual_indexes=[2, 4, 6],
    )  # fmt: skip
    config = transformers.Qwen3VLConfig(**qwen_ids(tokens), text_config=text, vision_config=vision)
    size = {"shortest_edge": 32 * 32, "longest_edge": 1024 * 1024}
    processor = transformers.Qwen3VLProcessor(
        transformers.Qwen2VLImageProcessor(size=size, patch_size=16),
        tokens,
        transformers.Qwen3VLVideoProcessor(size=size),
        chat_template=template(*QWEN_TEMPLATE),
    )
    randomized(transformers.Qwen3VLForConditionalGeneration(config)).save_pretrained(folder)
    processor.save_pretrained(folder)


def long_text(engine: Engine, tokens: int) -> list[Message]:
    """A question of about so many tokens."""
    rng = random.Random(0)
    text = "".join(rng.choices("abcdefghij klmnop", k=tokens))
    per_letter = engine.count(text) / tokens
    return [Message("user", (Text(text[: int(tokens / per_letter)]),))]


@contextmanager
def timed(owner: type, name: str, clock: Clock) -> Iterator[list[float]]:
    """The seconds of every call of a method meanwhile."""
    seconds: list[float] = []
    method = getattr(owner, name)

    def timing(*given: Any, **named: Any) -> Any:
        begun = clock()
        try:
            return method(*given, **named)
        finally:
            seconds.append(clock() - begun)

    setattr(owner, name, timing)
    try:
        yield seconds
    finally:
        setattr(owner, name, method)


def alone(engine: Engine, messages: list[Message], clock: Clock) -> tuple[float, str]:
    """Seconds until the first token of an answer with nothing beside it, and that token."""
    forget(engine)
    begun = clock()
    reply = engine.generate(messages, BRIEF)
    return clock() - begun, reply.text


def beside(engine: Engine, messages: list[Message], answer: Sampling, clock: Clock) -> Measured:
    """The same while an answer runs: the prompt arrives after its 20th token."""
    forget(engine)
    found: dict[str, Any] = {}
    ended = Event()

    def ask() -> None:
        before, begun = len(steps), clock()
        found["text"] = engine.generate(messages, BRIEF).text
        found["seconds"] = clock() - begun
        found["steps"] = sum(steps[before:])
        ended.set()

    gaps: list[float] = []
    thread = Thread(target=ask)
    with (
        timed(Prefill, "advance", clock) as chunks,
        timed(DecodeGroup, "step", clock) as steps,
        engine.stream([Message("user", (Text("Go on."),))], answer) as stream,
    ):
        before, count = 0.0, 0
        for event in stream:
            if not isinstance(event, TokenLogprobs):
                continue
            now, count = clock(), count + 1
            if count > 20:
                gaps.append(now - before)
            before = now
            if count == 20:
                chunks.clear()
                thread.start()
    if not ended.is_set():
        print("The answer ended before the prompt did: --answer must be larger.", flush=True)
    thread.join()
    return Measured(found["seconds"], found["steps"], gaps, max(chunks), found["text"])


def forget(engine: Engine) -> None:
    """Nothing of an earlier round is used again."""
    engine.prefixes.clear()
    engine.encoded.clear()


def gaps_alone(engine: Engine, answer: Sampling, clock: Clock) -> list[float]:
    """Seconds between the tokens of an answer with nothing beside it."""
    times = []
    for event in engine.stream([Message("user", (Text("Go on."),))], answer):
        if isinstance(event, TokenLogprobs):
            times.append(clock())
    return [later - earlier for earlier, later in pairwise(times[20:])]


def report(name: str, quiet: list[float], first: tuple[float, str], measured: Measured) -> None:
    """One line."""
    usual, longest, without = median(quiet), max(measured.gaps), measured.prompt - measured.steps
    print(
        f"{name:22} {first[0]:7.2f} s {measured.prompt:7.2f} s {measured.prompt / first[0]:6.2f}"
        f" {without:7.2f} s {without / first[0]:6.2f}"
        f" {1000 * usual:8.1f} ms {1000 * median(measured.gaps):8.1f} ms {median(measured.gaps) / usual:6.2f}"
        f" {longest:8.2f} s {measured.chunk:7.2f} s {longest - measured.chunk:7.2f} s"
        f"  {'yes' if measured.text == first[1] else 'NO'}",
        flush=True,
    )


def measure(loaded: LoadedModel, given: argparse.Namespace, clock: Clock) -> None:
    """Print a line for each prompt."""
    answer = Sampling(max_tokens=given.answer, temperature=0.0, ignore_eos=True, logprobs=0)
    with Engine(loaded, prefixes=1) as engine:
        text = long_text(engine, given.tokens)
        images = [
            Message("user", (*(picture(seed, given.edge, given.edge) for seed in range(given.images)), Text("What?")))
        ]
        collect(engine.stream(text, BRIEF))
        for _ in range(given.rounds):
            quiet = gaps_alone(engine, answer, clock)
            count = engine.report(text).prompt_tokens
            whole = alone(engine, text, clock)
            loaded.family.chunked_prefill = False  # type: ignore[misc]
            report(f"{count} tokens, whole", quiet, whole, beside(engine, text, answer, clock))
            loaded.family.chunked_prefill = True  # type: ignore[misc]
            report(f"{count} tokens", quiet, whole, beside(engine, text, answer, clock))
            if given.model:
                continue
            count = engine.report(images).prompt_tokens
            whole = alone(engine, images, clock)
            report(f"{given.images} images, {count}", quiet, whole, beside(engine, images, answer, clock))


def main() -> None:
    """Build the model, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=6144)
    parser.add_argument("--model", help="a checkpoint to measure in place of the random model, with the text only")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--edge", type=int, default=448, help="pixels")
    parser.add_argument("--answer", type=int, default=600, help="tokens of the answer that runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    given = parser.parse_args()
    clock: Clock = time.process_time if given.clock == "cpu" else time.perf_counter
    ensure_importable()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        if not given.model:
            build(Path(folder), given.hidden, given.layers)
        options = ModelOptions(model_id=given.model or folder, dtype="f32", cpu=True, threads=given.threads)
        loaded = load(open_checkpoint(options), options)
    size = sum(parameter.numel() for parameter in loaded.model.parameters()) / 1e6
    print(
        f"{size:.0f} M parameters, float32, {given.threads} threads, {given.clock} seconds, torch {torch.__version__}\n"
        f"{'':22} {'first token':^43} {'between tokens, median':^28} {'longest':>9} {'chunk':>9} {'more':>9}  same\n"
        f"{'prompt':22} {'alone':>9} {'beside':>9} {'ratio':>6} {'without':>9} {'ratio':>6}"
        f" {'alone':>11} {'beside':>11} {'ratio':>6}",
        flush=True,
    )
    measure(loaded, given, clock)


if __name__ == "__main__":
    main()
