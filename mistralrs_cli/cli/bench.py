"""``mistralrs bench``: how fast a model reads and answers on this machine."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from ..errors import OptionError
from ..options import ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_object
from . import params
from .command import model_options
from .oneshot import load
from .run import exclusive

if TYPE_CHECKING:
    from ..engine import Engine

PANEL = "What to measure"


def number(name: str, help: str, low: int = 1, check: Any = None) -> Any:
    """An option that takes a number of something, ``low`` at least unless ``check`` says otherwise."""
    check = check or params.at_least(low)
    return Option(name, metavar="N", callback=check, rich_help_panel=PANEL, help=help, show_default=False)


PromptTokens = Annotated[int, number("--prompt-tokens", "Tokens of a prompt; 512 unless set.", 1)]
AnswerTokens = Annotated[int, number("--answer-tokens", "Tokens of an answer; 64 unless set.", 2)]
Requests = Annotated[
    list[int] | None,
    number(
        "--requests", "Requests answered at once; once more for another row.", check=params.each(params.at_least(1))
    ),
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


def bench(
    ctx: typer.Context,
    model_id: params.ModelId = None,
    revision: params.Revision = None,
    hf_cache: params.HfCache = None,
    token_source: params.TokenSource = ModelOptions.token_source,
    trust_remote_code: params.TrustRemoteCode = False,
    matformer_config_path: params.MatformerConfigPath = None,
    matformer_slice_name: params.MatformerSliceName = None,
    prompt_tokens: PromptTokens = 512,
    answer_tokens: AnswerTokens = 64,
    requests: Requests = None,
    rounds: Rounds = 3,
    quant: params.Quant = None,
    isq: params.Isq = None,
    isq_organization: params.IsqOrganizationName = ModelOptions.isq_organization,
    dtype: params.DTypeName = ModelOptions.dtype,
    cpu: params.Cpu = False,
    device_layers: params.DeviceLayers = None,
    topology: params.TopologyFile = None,
    max_memory: params.MaxMemory = None,
    threads: params.Threads = None,
    as_json: params.SpeedsJson = False,
    quiet: params.QuietReport = False,
    verbose: params.VerboseLibraries = False,
) -> Benchmark:
    """Measure how fast a model reads prompts and answers them on this machine, also several at once.

    mistralrs bench -m Qwen/Qwen3-VL-4B-Instruct --quant 4 --requests 1 --requests 8

    Prompts are tokens drawn at random, and answers do not end before their length.
    """
    exclusive({"--quant": quant, "--isq": isq})
    return Benchmark(
        model_options(ctx), prompt_tokens, answer_tokens, tuple(requests or [1]), rounds, as_json, quiet, verbose
    )


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
