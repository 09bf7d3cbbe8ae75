"""What a shell command costs that attaches to a running engine, beside one that loads the model: ``python -m
benchmarks.attached [-m MODEL] [--runs N]``.

For each kind of command: seconds of wall time, what of them the model did not take (``over``: all but the seconds until
its last token), CPU seconds of the command itself, and the heaviest things it imports. A kept engine is started for
the comparison, and stopped in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HEAVY = ("torch", "transformers", "PIL", "numpy", "fastapi", "starlette", "pydantic", "httpx")
IMPORTED = "import sys; from mistralrs_cli.cli.app import main; code = main(sys.argv[1:]); "
IMPORTED += "print(*sys.modules, file=sys.stderr); sys.exit(code)"


def command(*words: str) -> list[str]:
    """A one-shot as a process of its own."""
    return [sys.executable, "-m", "mistralrs_cli", "run", "--json", "--no-stdin", *words]


def measured(words: list[str]) -> tuple[float, float, float]:
    """Wall seconds, those of them that the model did not take, and CPU seconds of the command."""
    before = os.times()
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - begun
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, wall - json.loads(done.stdout)["timings"]["total_seconds"], cpu


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="demo")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    question = ["-m", given.model, "-i", "What can you do?", "--temperature", "0"]
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        os.environ["MISTRALRS_RUNTIME_DIR"] = folder
        try:
            subprocess.run(command("--keep", "10m", *question), check=True, capture_output=True)
            kinds = {"attached": command(*question), "unattached": command("--no-attach", *question)}
            rows: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
            for _ in range(given.runs):  # in turn, since the machine may be busy now and then
                for kind, words in kinds.items():
                    rows[kind].append(measured(words))
            imported = subprocess.run(
                [sys.executable, "-c", IMPORTED, *kinds["attached"][3:]], capture_output=True, text=True, check=True
            ).stderr.split()
        finally:
            subprocess.run([sys.executable, "-m", "mistralrs_cli", "stop", "--all"], capture_output=True)
    print(f"{'':12} {'wall s':>8} {'over s':>8} {'CPU s':>8}   (median of {given.runs}; the least)")
    for kind, found in rows.items():
        columns = list(zip(*found, strict=True))
        print(f"{kind:12}", *(f"{statistics.median(column):8.2f}" for column in columns), end="   ")
        print(*(f"{min(column):.2f}" for column in columns))
    print("an attached command imports:", ", ".join(name for name in HEAVY if name in imported) or "nothing heavy")


if __name__ == "__main__":
    main()
