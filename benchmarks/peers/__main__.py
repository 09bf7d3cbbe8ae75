"""This project beside other engines for language models, on this machine, in one run.

    python -m benchmarks.peers [--models small large] [--repeats 3] [--threads N] [--only mistralrs llama.cpp]

The others are installed from the registries of Python and npm into environments of their own, below the cache folder;
one that cannot be installed is named with the reason. Each measurement is a fresh process, the engines take turns, and
the table has the median of all repeats and the best: seconds to the first token of a long prompt, tokens a second of
one answer and of several together, gigabytes. Below it are the ratios that this project wants to reach.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistralrs_cli.loading.quantization.ggml_probe import verdict
from mistralrs_cli.loading.quantization.kernels import cpu

from . import environments, models
from .environments import NotInstalled

WORKERS = Path(__file__).with_name("workers")
COLUMNS = (("load", "load s"), ("first", "first s"), ("decode", "tok/s"), ("together", "together"), ("memory", "GiB"))
LOWER = ("load", "first", "memory")
LIMIT = 240  # seconds for one process


@dataclass(frozen=True, eq=False)
class Engine:
    """One row of the table: a worker, and what it is told."""

    name: str
    worker: str
    spec: dict[str, Any]
    peer: str


@dataclass(frozen=True)
class Goal:
    """At least (of a rate) or at most (of a time) so much of what another row has."""

    row: str
    column: str
    factor: float
    other: str
    other_column: str = ""


def engines() -> list[Engine]:
    """All rows, this project's beside those they are compared with."""
    return [
        Engine("mistralrs bf16", "runner", {"dtype": "bf16"}, "mistralrs"),
        Engine("transformers bf16", "generate", {}, "transformers"),
        Engine("mistralrs 8", "runner", {"quantization": "8"}, "mistralrs"),
        Engine("llama.cpp Q8_0", "llama", {"gguf": "Q8_0"}, "llama.cpp"),
        Engine("mistral.rs q8_0", "runner", {"quantization": "q8_0"}, "mistral.rs"),
        Engine("OpenVINO Q8_0", "genai", {"gguf": "Q8_0"}, "openvino"),
        Engine("mistralrs 4", "runner", {"quantization": "4"}, "mistralrs"),
        Engine("llama.cpp Q4_K_M", "llama", {"gguf": "Q4_K_M"}, "llama.cpp"),
        Engine("mistral.rs q4k", "runner", {"quantization": "q4k"}, "mistral.rs"),
        Engine("OpenVINO Q4_K_M", "genai", {"gguf": "Q4_K_M"}, "openvino"),
    ]


GOALS = {
    "small": (
        Goal("mistralrs 8", "decode", 0.6, "llama.cpp Q8_0"),
        Goal("mistralrs 4", "decode", 0.6, "llama.cpp Q4_K_M"),
    ),
    "large": (
        Goal("mistralrs bf16", "first", 1.0, "transformers bf16"),
        Goal("mistralrs bf16", "decode", 1.15, "transformers bf16"),
        Goal("mistralrs bf16", "together", 1.3, "transformers bf16"),
        Goal("mistralrs 4", "decode", 1.0, "mistral.rs q4k"),
        Goal("mistralrs 4", "decode", 0.85, "llama.cpp Q4_K_M"),
        Goal("mistralrs 4", "first", 0.6, "mistral.rs q4k"),
        Goal("mistralrs 4", "first", 1.15, "mistralrs bf16"),
        Goal("mistralrs 8", "decode", 0.75, "llama.cpp Q8_0"),
        Goal("mistralrs 8", "first", 1.0, "mistralrs bf16"),
        Goal("mistralrs 4", "together", 4.0, "mistralrs 4", "decode"),
        Goal("mistralrs 4", "together", 1.0, "llama.cpp Q4_K_M"),
        Goal("mistralrs 8", "together", 4.0, "mistralrs 8", "decode"),
        Goal("mistralrs 8", "together", 1.0, "llama.cpp Q8_0"),
    ),
}


def prepared(engine: Engine, model: models.Model) -> tuple[Path, dict[str, Any]]:
    """The Python that an engine runs in, and what its worker is told. Raises ``NotInstalled``."""
    spec = {"engine": engine.peer, "quantization": None, "dtype": None, **engine.spec}
    spec |= {"checkpoint": str(model.checkpoint), "architecture": model.architecture}
    if engine.peer in ("mistralrs", "transformers"):
        return environments.own_python(), spec
    if engine.peer == "mistral.rs":
        return environments.environment("mistral.rs", environments.MISTRALRS), spec
    llama = environments.llama()
    spec |= {"library": str(llama.library), "bindings": str(llama.bindings)}
    spec["gguf"] = str(model.gguf(engine.spec["gguf"], llama))
    if engine.peer == "llama.cpp":
        return llama.python, spec
    if not model.readable_gguf:
        raise NotInstalled("the GGUF file of random weights has no tokenizer, which it needs")
    return environments.environment("openvino", environments.OPENVINO), spec


def run(python: Path, engine: Engine, spec: dict[str, Any], log: Path) -> dict[str, float]:
    """One process's figures; with ``failed`` where it did not come to its end."""
    threads = str(spec["threads"])
    variables = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), threads)
    variables |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
    if engine.peer in ("mistralrs", "transformers"):
        variables["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    command = [str(python), str(WORKERS / f"{engine.worker}.py"), json.dumps(spec)]
    found: dict[str, float] = {}
    with log.open("a") as errors:
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=variables, timeout=LIMIT, check=False
            )
            output, ended = done.stdout, f"ended with {done.returncode}"
        except subprocess.TimeoutExpired as error:
            output, ended = (error.stdout or b"").decode(), f"took more than {LIMIT} s"
    for line in output.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            if said["name"] == "note":
                print(f"    {engine.name}: {said['value']}", flush=True)
            else:
                found[said["name"]] = said["value"]
    if "memory" not in found:
        tail = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        found["failed"] = 1.0
        print(f"    {engine.name} {ended}: {tail[-1][:160] if tail else ''}", flush=True)
    return found


def measured(chosen: argparse.Namespace, kind: str, model: models.Model) -> dict[str, dict[str, list[float]] | str]:
    """All figures of a model by row and column, or why a row has none."""
    prompts = {
        "long": models.prompts(model.checkpoint, chosen.prompt, 2),
        "short": models.prompts(model.checkpoint, 48, 4),
        "several": models.prompts(model.checkpoint, 48, 4 + chosen.requests)[4:],
    }
    threads = chosen.threads or (1 if kind == "small" else os.cpu_count() or 1)
    table: dict[str, dict[str, list[float]] | str] = {}
    ready = {}
    for engine in engines():
        if chosen.only and engine.peer not in chosen.only:
            continue
        try:
            python, spec = prepared(engine, model)
        except (NotInstalled, subprocess.SubprocessError, OSError) as error:
            table[engine.name] = f"not measured: {error}"
            continue
        table[engine.name] = {}
        ready[engine] = python, {**spec, **prompts, "threads": threads, "tokens": chosen.tokens}
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(chosen.repeats):
            for engine, (python, spec) in ready.items():
                log = Path(scratch) / f"{engine.name.replace(' ', '-')}.log"
                figures = run(python, engine, spec, log)
                print(f"  {repeat + 1}: {engine.name}: {figures}", file=sys.stderr, flush=True)
                row = table[engine.name]
                assert isinstance(row, dict)
                for name, value in figures.items():
                    if isinstance(value, float):
                        row.setdefault(name, []).append(value)
    print(f"\n{models.described(model)}, {threads} thread(s), prompts of {chosen.prompt} and 48 tokens, answers of")
    print(f"{chosen.tokens}, {chosen.requests} together; median (best) of {chosen.repeats}")
    return table


def show(table: dict[str, dict[str, list[float]] | str], goals: tuple[Goal, ...]) -> None:
    """Print the rows, then the goals."""
    print(f"{'':<20}" + "".join(f"{title:>18}" for _, title in COLUMNS))
    for name, row in table.items():
        if isinstance(row, str):
            print(f"{name:<20}  {row}")
            continue
        cells = []
        for column, _ in COLUMNS:
            values = row.get(column)
            best = "-" if not values else f"{(min if column in LOWER else max)(values):.2f}"
            cells.append(
                "failed"
                if not values and "failed" in row
                else "-"
                if not values
                else f"{statistics.median(values):.2f} ({best})"
            )
        print(f"{name:<20}" + "".join(f"{cell:>18}" for cell in cells))
    for goal in goals:
        mine, theirs = (
            value_of(table, goal.row, goal.column),
            value_of(table, goal.other, goal.other_column or goal.column),
        )
        lower = goal.column in LOWER
        wanted = f"{goal.row}, {goal.column}: {'at most' if lower else 'at least'} {goal.factor:g} of {goal.other}"
        wanted += f" ({goal.other_column})" if goal.other_column else ""
        if mine is None or theirs is None:
            print(f"{wanted}: not measured")
            continue
        share = mine / theirs
        reached = share <= goal.factor if lower else share >= goal.factor
        print(f"{wanted}: {share:.2f}, {'reached' if reached else 'missed'}")


def value_of(table: dict[str, dict[str, list[float]] | str], row: str, column: str) -> float | None:
    """The median of a cell."""
    found = table.get(row)
    values = found.get(column) if isinstance(found, dict) else None
    return statistics.median(values) if values else None


def by_ggml() -> str:
    """Which of ggml's kernels this project may choose, those of the extra or of ``MISTRALRS_GGML``."""
    found = verdict()
    if found is None or found.failure:
        return "mistralrs without ggml" if found is None else f"mistralrs without ggml, {found.failure}"
    return f"mistralrs with {Path(found.file).name} {found.version}"


def main() -> None:
    """Measure and print."""
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=("small", "large"), default=["small", "large"])
    parser.add_argument("--only", nargs="+", help="engines: mistralrs transformers llama.cpp mistral.rs openvino")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: 1 for the small model, all cores for the large one")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--requests", type=int, default=8)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    versions = (
        f"Python {platform.python_version()}",
        f"torch {torch.__version__}",
        f"transformers {transformers.__version__}",
        by_ggml(),
        environments.MISTRALRS,
        environments.LLAMA_LIBRARY,
        environments.OPENVINO,
    )
    print(f"{cpu()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores")
    print(", ".join(versions))
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    for kind in chosen.models:
        model = models.small() if kind == "small" else models.large()
        show(measured(chosen, kind, model), GOALS[kind])
    print(f"\nload average after: {os.getloadavg()[0]:.1f}; {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
