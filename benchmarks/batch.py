"""`mistralrs batch` beside `mistralrs serve`: the same pictures, the same question, as many at a time.

    python -m benchmarks.batch [--rows 500] [--jobs 16] [--threads 1] [--rounds 3]

The bundled demo model answers about drawn pictures, greedily. The server is kept busy by as many requests at a time as
the batch has jobs. Seconds are those of answering, without loading; CPU seconds a row are those of the process that has
the model, of which a batch of a few rows is taken off for its loading. The two take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from PIL import Image, ImageDraw

from benchmarks.serving import server

COLOURS = {"red": (220, 20, 30), "green": (40, 170, 60), "blue": (30, 60, 220), "yellow": (250, 220, 20)}
QUESTION = "What is this?"
TOKENS = 24


def draw(folder: Path, count: int) -> list[Path]:
    """So many pictures of a shape."""
    dice = random.Random(0)
    found = []
    for number in range(count):
        image = Image.new("RGB", (320, 240), "white")
        pen = ImageDraw.Draw(image)
        x, y, size = dice.randrange(20, 180), dice.randrange(20, 100), dice.randrange(60, 120)
        shape = pen.ellipse if dice.random() < 0.5 else pen.rectangle
        shape((x, y, x + size, y + size), fill=dice.choice([*COLOURS.values()]))
        found.append(folder / f"{number}.jpg")
        image.save(found[-1])
    return found


def run(pictures: list[Path], jobs: int, threads: int, out: Path) -> tuple[dict[str, Any], float]:
    """The summary of a batch, and the CPU seconds of its process."""
    command = [sys.executable, "-m", "mistralrs_cli", "batch", "-", "-m", "demo", "--cpu", "--threads", str(threads)]
    command += ["--jobs", str(jobs), "-i", QUESTION, "--temperature", "0", "--max-tokens", str(TOKENS), "--json"]
    listed = "\n".join(map(str, pictures))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--overwrite", "-o", str(out)], input=listed, text=True, stdout=subprocess.PIPE, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def ask_all(url: str, pictures: list[Path], jobs: int) -> tuple[int, float]:
    """Tokens of all answers of the server, and the seconds they took."""
    places = asyncio.Semaphore(jobs)
    async with httpx.AsyncClient(base_url=url, timeout=1200, limits=httpx.Limits(max_connections=jobs)) as client:

        async def ask(path: Path) -> int:
            async with places:
                source = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
                parts = [{"type": "image_url", "image_url": {"url": source}}, {"type": "text", "text": QUESTION}]
                body = {"messages": [{"role": "user", "content": parts}], "max_tokens": TOKENS, "temperature": 0}
                response = await client.post("/v1/chat/completions", json=body)
                assert response.status_code == 200, response.text
                made: int = response.json()["usage"]["completion_tokens"]
                return made

        begun = time.perf_counter()
        made = await asyncio.gather(*map(ask, pictures))
        return sum(made), time.perf_counter() - begun


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure both in turns, and print medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    serving = [sys.executable, "-m", "mistralrs_cli", "serve", "-m", "demo", "--cpu", "--threads", str(given.threads)]
    with tempfile.TemporaryDirectory() as folder, server(serving, given.threads, "/ready") as url:
        pictures = draw(Path(folder), given.rows)
        out = Path(folder) / "out.jsonl"
        few = pictures[: given.jobs]
        model = next(child for child in psutil.Process().children() if "serve" in child.cmdline())
        asyncio.run(ask_all(url, few, given.jobs))
        _, loading = run(few, given.jobs, given.threads, out)
        rates: list[tuple[float, float]] = []
        costs: list[tuple[float, float]] = []
        for _ in range(given.rounds):
            before = cpu(model)
            tokens, seconds = asyncio.run(ask_all(url, pictures, given.jobs))
            served = cpu(model) - before
            summary, spent = run(pictures, given.jobs, given.threads, out)
            assert summary["completion_tokens"] == tokens, (summary, tokens)
            rates.append((tokens / seconds, tokens / summary["seconds"]))
            costs.append((served / given.rows, (spent - loading) / (given.rows - len(few))))
    print(
        f"{given.rows} rows, {given.jobs} at a time, {given.threads} thread(s), {tokens / given.rows:.1f} answer "
        f"tokens a row, medians of {given.rounds}"
    )
    print(f"{'':>22} {'mistralrs serve':>16} {'mistralrs batch':>16} {'ratio':>6}")
    for name, pairs, unit in (("answers", rates, "tok/s"), ("CPU a row", costs, "ms")):
        scale = 1000 if unit == "ms" else 1
        one, other = (median(side) * scale for side in zip(*pairs, strict=True))
        print(f"{name:>22} {one:>10.1f} {unit:<5} {other:>10.1f} {unit:<5} {other / one:>6.2f}")


if __name__ == "__main__":
    main()
