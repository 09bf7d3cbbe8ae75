"""Try real clients against ``mistralrs serve``, and print the table of ``docs/clients.md``.

::

    python -m tools.clients [--only NAME …] [--text-model M] [--cache DIR] [--seconds N] [--upgrade] [--write]

Each client is installed from its registry into an environment of its own under ``--cache``, outside the project, and
runs the steps of its script in ``tools/clients/scripts/``. What fails is shown as it failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from .environments import CLIENTS, Client, NotInstalled, environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "clients.md"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mistralrs-clients"
BEGIN, END = "<!-- what `make test-clients` printed -->", "<!-- end of it -->"
LISTENING = re.compile(r"listening on (http://\S+)/v1")


@dataclass
class Result:
    """What became of one client with one model."""

    client: Client
    model: str
    version: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    trouble: str = ""

    @property
    def works(self) -> list[str]:
        """The steps that went through."""
        return [step["step"] for step in self.steps if not step["problem"]]

    @property
    def fails(self) -> list[str]:
        """Those that did not, and why."""
        return [f"{step['step']}: {step['problem']}" for step in self.steps if step["problem"]]

    @property
    def row(self) -> str:
        """Its line of the table."""
        failed = [*self.fails, *([self.trouble] if self.trouble else [])]
        cells = (
            f"{self.client.name} {self.version}",
            Path(self.model).name,
            f"{len(self.works)} of {len(self.steps)}",
            "; ".join(failed) or "-",
        )
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@contextmanager
def serving(words: list[str]) -> Iterator[str]:
    """A server on any free port, for as long as the clients ask it; its address."""
    command = [sys.executable, "-m", "mistralrs_cli", "serve", "-p", "0", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := LISTENING.search(line):
                break
        else:
            raise SystemExit("The server did not start.")
        threading.Thread(target=lambda pipe: [None for _ in pipe], args=(process.stderr,), daemon=True).start()
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)


def attempt(client: Client, cache: Path, url: str, model: str, seconds: int, upgrade: bool, media: bool) -> Result:
    """Install a client and run its steps."""
    result = Result(client, model)
    try:
        found = environment(client, cache, upgrade=upgrade)
    except NotInstalled as error:
        result.trouble = f"not installed: {error}"
        return result
    result.version = found.version
    told = {"MISTRALRS_URL": url, "MISTRALRS_MEDIA": str(ROOT / "examples" / "media") if media else ""}
    if not media:
        told["MISTRALRS_TOKENIZER"] = model
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
    try:
        ran = subprocess.run(
            found.command, capture_output=True, text=True, timeout=seconds, env=plain | told, cwd=found.folder
        )
        output, errors = ran.stdout, ran.stderr
    except subprocess.TimeoutExpired as error:
        output, errors = text_of(error.stdout), ""
        result.trouble = f"stopped after {seconds} s"
    result.steps = [json.loads(line) for line in output.splitlines() if line.startswith('{"step"')]
    if not result.steps and not result.trouble and (lines := errors.strip().splitlines()):
        result.trouble = lines[-1][-160:]
    return result


def text_of(output: str | bytes | None) -> str:
    """What a process had said when it was stopped."""
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def table(results: list[Result]) -> str:
    """All results as Markdown."""
    lines = [
        f"Printed on {date.today().isoformat()}.",
        "",
        "| client | model | steps that work | what fails |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *(result.row for result in results if result.steps or result.trouble)])


def main() -> int:
    """Try them all; 0 whatever fails, since what fails is what is asked about."""
    parser = argparse.ArgumentParser(prog="python -m tools.clients")
    parser.add_argument("--only", nargs="*", help="names of clients")
    parser.add_argument("--text-model", help="a folder or name of a model that reads text, tried as well")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--seconds", type=int, default=300, help="the most for one client")
    parser.add_argument("--upgrade", action="store_true", help="install the newest versions again")
    parser.add_argument("--write", action="store_true", help="put the table into docs/clients.md")
    options = parser.parse_args()
    clients = [client for client in CLIENTS if not options.only or client.name in options.only]
    results: list[Result] = []
    models: list[tuple[str, list[str], bool]] = [("demo", ["--dtype", "f32"], True)]
    if options.text_model:
        models.append((options.text_model, ["-m", options.text_model], False))  # named in the table by its last part
    for model, words, media in models:
        with serving(words) as url:
            for client in clients:
                begun = time.perf_counter()
                result = attempt(client, options.cache, url, model, options.seconds, options.upgrade, media)
                results.append(result)
                print(f"{result.row}  ({time.perf_counter() - begun:.0f} s)", file=sys.stderr, flush=True)
    print(table(results))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
