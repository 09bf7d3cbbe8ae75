"""``mistralrs bench``: how fast a model reads and answers on this machine."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from ..errors import OptionError
from ..options import ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_object
from .given import model_options
from .job import Job
from .oneshot import load
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import at_least, each
from .params.output import QuietReport, SpeedsJson, VerboseLibraries

if TYPE_CHECKING:
    from ..engine import Engine

PANEL = "What to measure"


def number(name: str, help: str, low: int = 1, check: Any = None) -> Any:
    """An option that takes a number of something, ``low`` at least unless ``check`` says otherwise."""
    check = check or at_least(low)
    return Option(name, metavar="N", callback=check, rich_help_panel=PANEL, help=help, show_default=False)


PromptTokens = Annotated[int, number("--prompt-tokens", "Tokens of a prompt; 512 unless set.", 1)]
AnswerTokens = Annotated[int, number("--answer-tokens", "Tokens of an answer; 64 unless set.", 2)]
Requests = Annotated[
    list[int] | None,
    number("--requests", "Requests answered at once; once more for another row.", check=each(at_least(1))),
]
Rounds = Annotated[int, number("--rounds", "How often; the medians are shown. 3 unless set.", 1)]


@dataclass(frozen=True, slots=True)
class Speed:
    """What ``requests`` at once took: seconds to the last first token, and tokens a second of all of them together.

    A prompt is read until its first token; answers count from the first of those to the end.
    """

    requests: int
    first_token_seconds: float
    prompt_tokens_per_second: float
    answer_tokens_per_second: float


@takes_groups
def bench(
    *,
    model: Annotated[ModelParams, Except("arch", "tokenizer", "tok_model_id", "chat_template", "jinja_explicit")],
    prompt_tokens: PromptTokens = 512,
    answer_tokens: AnswerTokens = 64,
    requests: Requests = None,
    rounds: Rounds = 3,
    hardware: Annotated[
        HardwareParams,
        Only(
            *("quant", "isq", "isq_organization", "dtype", "cpu", "device_layers", "topology", "max_memory", "threads"),
            "kv_cache_type",
        ),
    ],
    as_json: SpeedsJson = False,
    quiet: QuietReport = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Measure how fast a model reads prompts and answers them on this machine, also several at once.

    mistralrs bench -m Qwen/Qwen3-VL-4B-Instruct --quant 4 --requests 1 --requests 8

    Prompts are tokens drawn at random, and answers do not end before their length.
    """
    options = model_options(model, hardware)
    return Benchmark(options, prompt_tokens, answer_tokens, tuple(requests or [1]), rounds, as_json, quiet, verbose)


@dataclass(frozen=True)
class Benchmark:
    """A parsed ``bench``; ``requests`` are the numbers of requests at once that are measured."""

    model: ModelOptions
    prompt_tokens: int
    answer_tokens: int
    requests: tuple[int, ...]
    rounds: int
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def run(self, console: Console, models: Models) -> None:
        """Load the model, measure, and show the speeds."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        prompt, answer = self.prompt_tokens, self.answer_tokens
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in models.check(self.model):
                console.note(notice)
            checkpoint = models.open(self.model)
            longest = checkpoint.family.context_length
            if longest is not None and prompt + answer > longest:
                raise OptionError(
                    f"{checkpoint.name} holds {longest:,} tokens, a prompt and its answer together.",
                    "Give fewer --prompt-tokens or --answer-tokens.",
                )
            with load(checkpoint, replace(self.model, max_seqs=max(self.requests)), console, models) as engine:
                speeds = []
                with console.status("Measuring", len(self.requests)) as status:
                    for count in self.requests:
                        speeds.append(measure(engine, count, prompt, answer, self.rounds))
                        status.advance()
                info = engine.info
            facts: dict[str, str | int] = {"model": info.name, "dtype": info.dtype, "device": info.device}
            facts |= {"prompt_tokens": prompt, "answer_tokens": answer, "rounds": self.rounds}
            if self.json:
                show_object(facts | {"speeds": [asdict(speed) for speed in speeds]}, console)
            else:
                console.answer(table(facts, speeds))


def measure(engine: Engine, count: int, prompt: int, answer: int, rounds: int) -> Speed:
    """The medians of all rounds; one before them warms up."""
    rng, tokens = random.Random(0), engine.text_tokens()
    speeds = []
    for _ in range(rounds + 1):
        prompts = [rng.choices(tokens, k=prompt) for _ in range(count)]
        speeds.append(once(engine, prompts, answer))
    speeds = speeds[1:]
    return Speed(
        count,
        median(speed.first_token_seconds for speed in speeds),
        median(speed.prompt_tokens_per_second for speed in speeds),
        median(speed.answer_tokens_per_second for speed in speeds),
    )


def once(engine: Engine, prompts: list[list[int]], answer: int) -> Speed:
    """One round of a request for each prompt."""
    from ..events import collect

    sampling = Sampling(max_tokens=answer, temperature=0.0, ignore_eos=True)
    streams = [engine.continue_text(prompt, sampling) for prompt in prompts]
    timings = [collect(stream).timing for stream in streams]
    read = max(timing.first_token for timing in timings)
    answering = max(timing.total for timing in timings) - min(timing.first_token for timing in timings)
    return Speed(len(prompts), read, sum(map(len, prompts)) / read, len(prompts) * (answer - 1) / answering)


def table(facts: dict[str, str | int], speeds: list[Speed]) -> str:
    """What was measured, for people."""
    lines = [
        "{model}, {dtype} on {device}, prompts of {prompt_tokens:,} tokens, answers of {answer_tokens:,}".format(
            **facts
        )
    ]
    lines.append(f"{'requests':>8}{'first token':>14}{'prompt':>16}{'answer':>16}")
    lines += [
        f"{speed.requests:>8}{speed.first_token_seconds:>12.2f} s{speed.prompt_tokens_per_second:>10,.1f} tok/s"
        f"{speed.answer_tokens_per_second:>10,.1f} tok/s"
        for speed in speeds
    ]
    return "\n".join(lines) + "\n"
