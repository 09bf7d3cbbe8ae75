"""CPU time of whole commands, from the start of their process: an answer, ``--dry-run``, an error and the help.

    python -m benchmarks.startup [--rounds 3] [--beside OTHER/bin/mistralrs]

Beside them, alternating: what Python takes to import torch, and torch with transformers; with ``--beside`` also the
same commands of another installation. User and system time of the process, which other load disturbs less than the
clock; each process is new, its files are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

ROOT = Path(__file__).parents[1]
IMAGE = ["--image", str(ROOT / "examples/media/red_circle.png"), "-i", "What is in this picture?"]
COMMANDS = {
    "run --image": ["run", *IMAGE],
    "run --image --dry-run": ["run", "--dry-run", *IMAGE],
    "run, no such file": ["run", "--image", "no-such-file.png", "-i", "What is in this picture?"],
    "--help": ["--help"],
}


def cpu_seconds(command: list[str], codes: tuple[int, ...] = (0,)) -> float:
    """User and system time of one process. Raises ``RuntimeError`` where it ends with another code."""
    before = getrusage(RUSAGE_CHILDREN)
    # compiled files are kept, as they are for a user
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode not in codes:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="another mistralrs program, to be compared")
    chosen = parser.parse_args()
    own = Path(sys.executable).parent / "mistralrs"
    jobs: dict[str, list[list[str]]] = {
        name: [[str(program), *arguments] for program in (own, chosen.beside) if program is not None]
        for name, arguments in COMMANDS.items()
    }
    for code in ("import torch", "import torch, transformers"):
        jobs[f"python: {code}"] = [[sys.executable, "-c", code]]
    seconds: dict[tuple[str, int], list[float]] = {}
    for round_ in range(chosen.rounds + 1):  # the first compiles what is not compiled yet
        for name, commands in jobs.items():
            for number, command in enumerate(commands):
                taken = cpu_seconds(command, (0, 4))
                if round_:
                    seconds.setdefault((name, number), []).append(taken)
    print(f"CPU seconds of {chosen.rounds} processes: median (best), load {os.getloadavg()[0]:.1f}")
    for name, commands in jobs.items():
        cells = [seconds[name, number] for number in range(len(commands))]
        print(f"{name:34}" + "".join(f"{median(found):8.2f} ({min(found):.2f})" for found in cells))


if __name__ == "__main__":
    main()
