"""Many mixed requests at a server beside batch jobs: good ones, bad media, clients that leave.

Nothing may leak, and no answer may differ, in a batch either.

    python -m tests.server.soak [--requests 2000] [--at-once 24] [--phase 100] [--curve FILE] [--url URL]

Without ``--url`` a process of ``mistralrs serve`` holds two models, of which one may be in memory: the demo model, and
the same with other weights. Requests name the one, and after ``--phase`` requests the other, so that they are swapped;
the lines of batch jobs name both. What is printed at the end: outcomes, wrong answers, requests that are left, and
threads, open files and memory along the way (all of it as CSV in ``--curve``). The exit code is 1 where something is
wrong or left, or where memory has grown in the second half.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "media"
PATH = "/v1/chat/completions"


def part(kind: str, name: str) -> dict[str, Any]:
    """A sample by its bytes, so that it may come from anywhere."""
    data = base64.b64encode((SAMPLES / name).read_bytes()).decode()
    return {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:;base64,{data}"}}


def asked(*content: object, **fields: Any) -> dict[str, Any]:
    """A request with these parts; words are texts."""
    parts = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": 16} | fields


def good() -> list[dict[str, Any]]:
    """Requests with one right answer each: different media, lengths and ways of drawing."""
    red, before, after = part("image", "red_circle.png"), part("image", "before.png"), part("image", "after.png")
    beeps, clip = part("audio", "beeps.wav"), part("video", "clip.gif")
    clip["video_url"]["num_frames"] = 4
    hot = {"temperature": 1.5, "top_k": 0, "top_p": 1.0}
    return [
        asked("What can you do?", temperature=0),
        asked("What can you do?", seed=1, **hot),
        asked("Go on and on.", seed=2, stop=["e", "T"], **hot),
        asked(red, "What is in this picture?", temperature=0),
        asked(red, "What is in this picture?", seed=3, **hot),
        asked(before, after, "What changed between these images?", temperature=0),
        asked(after, before, "What changed between these images?", temperature=0),
        asked(beeps, "How many beeps do you hear?", temperature=0),
        asked(beeps, red, "What do you hear and see?", temperature=0, frequency_penalty=1.0),
        asked(clip, "What happens in this video?", temperature=0, repetition_penalty=1.2),
        asked("Count.", temperature=0, ignore_eos=True, max_tokens=20, dry_multiplier=1.0),
        asked(red, "Which?", grammar={"type": "regex", "value": "(red|blue|green) (circle|square)"}, temperature=0),
        asked("word " * 300, seed=4, min_p=0.02, temperature=1.0),
        asked("Is it red?", "Yes or no?", logit_bias={"65": 5}, temperature=0, presence_penalty=0.5),
        asked(red, "What color?", temperature=0.7, seed=9, top_k=5, n=2),
        asked(beeps, clip, red, "Describe it all.", temperature=0, max_tokens=12),
    ]


BAD: list[tuple[dict[str, Any], int]] = [
    (asked({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}), 400),
    (asked({"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,AAAA"}}), 400),
    (asked({"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}), 403),
    (asked({"type": "image_url", "image_url": {"url": "/no/such/file"}}), 404),
    (asked({"type": "image_url", "image_url": 5}), 400),
    (asked("word " * 9000), 400),
    (asked("hi", temperature=-1), 400),
    (asked("hi", grammar={"type": "regex", "value": "((("}), 400),
]


def texts(answer: dict[str, Any]) -> list[str]:
    """What the choices say."""
    return [choice["message"]["content"] for choice in answer["choices"]]


@dataclass
class Report:
    """What came of it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return "\n".join([f"{sum(self.outcomes.values())} requests: {counts}", *map("WRONG {}".format, self.wrong)])


Expected = list[tuple[dict[str, Any], list[str]]]
"""Requests, and what each is answered alone."""


async def soak(
    url: str, requests: int, at_once: int, seed: int = 0, *, models: Sequence[str] = ("default",), phase: int = 50
) -> Report:
    """Send ``requests`` requests, ``at_once`` at a time, in an order drawn with ``seed``.

    ``phase`` requests in a row name one of the ``models``.
    """
    dice = random.Random(seed)
    report = Report()
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once // 2)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        expected = [await alone(client, model) for model in models]
        gate = asyncio.Semaphore(at_once)

        async def one(number: int, draw: float, which: int, patience: float) -> None:
            async with gate:
                model = number // phase % len(models)
                body, answer = expected[model][which % len(expected[model])]
                if draw < 0.45:
                    await check(client, body, answer, report)
                elif draw < 0.65:
                    await check_stream(client, body, answer, report)
                elif draw < 0.8:
                    bad, status = BAD[which % len(BAD)]
                    found = (await client.post(PATH, json=bad | {"model": models[model]})).status_code
                    report.outcomes["refused"] += 1
                    if found != status:
                        report.wrong.append(f"status {found}, not {status}: {str(bad)[:200]}")
                else:
                    await leave(client, body, patience, draw < 0.9)
                    report.outcomes["left"] += 1
            if number % 500 == 499:
                print(f"{number + 1} requests", file=sys.stderr, flush=True)

        async with batches(url, [line for lines in expected for line in lines], report):
            draws = [(number, dice.random(), dice.randrange(1000), dice.random() * 0.6) for number in range(requests)]
            await asyncio.gather(*(one(*drawn) for drawn in draws))
    return report


async def alone(client: httpx.AsyncClient, model: str) -> Expected:
    """Every good request, and what a model answers to it while there is no other."""
    expected = []
    for body in good():
        named = body | {"model": model}
        response = await client.post(PATH, json=named)
        assert response.status_code == 200, response.text
        expected.append((named, texts(response.json())))
    return expected


@asynccontextmanager
async def batches(url: str, expected: Expected, report: Report) -> AsyncGenerator[None]:
    """Within the block one batch job runs after the other; the last is cancelled."""
    work = asyncio.ensure_future(batch_jobs(url, expected, report))
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def batch_jobs(url: str, expected: Expected, report: Report) -> None:
    """One batch job after the other, each compared with the answers given alone; the last is cancelled."""
    lines = [
        {"custom_id": str(number), "method": "POST", "url": PATH, "body": body}
        for number, (body, _) in enumerate(expected)
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        while True:
            made = await client.post("/v1/files", files={"file": data}, data={"purpose": "batch"})
            asked = {"input_file_id": made.json()["id"], "endpoint": PATH}
            batch = (await client.post("/v1/batches", json=asked)).json()
            try:
                while batch["status"] not in ("completed", "failed", "expired", "cancelled"):
                    await asyncio.sleep(0.5)
                    batch = (await client.get(f"/v1/batches/{batch['id']}")).json()
            except asyncio.CancelledError:
                await client.post(f"/v1/batches/{batch['id']}/cancel")
                report.outcomes["batch lines"] += batch["request_counts"]["completed"]
                raise
            output = await client.get(f"/v1/files/{batch['output_file_id']}/content")
            found = {line["custom_id"]: line["response"]["body"] for line in map(json.loads, output.text.splitlines())}
            for number, (_, answer) in enumerate(expected):
                report.outcomes["batch lines"] += 1
                if (said := texts(found[str(number)]) if str(number) in found else []) != answer:
                    report.wrong.append(f"{said} in a batch instead of {answer}")
            for name in (batch["input_file_id"], batch["output_file_id"]):
                await client.delete(f"/v1/files/{name}")


async def check(client: httpx.AsyncClient, body: dict[str, Any], answer: list[str], report: Report) -> None:
    """A whole answer, compared with the one given alone."""
    response = await client.post(PATH, json=body)
    if response.status_code == 429:
        report.outcomes["turned away"] += 1
        return
    report.outcomes["whole"] += 1
    said = texts(response.json()) if response.status_code == 200 else [response.text]
    if said != answer:
        report.wrong.append(f"{said} instead of {answer}")


async def check_stream(client: httpx.AsyncClient, body: dict[str, Any], answer: list[str], report: Report) -> None:
    """A stream, added up and compared."""
    said = [""] * len(answer)
    async with client.stream("POST", PATH, json=body | {"stream": True}) as response:
        if response.status_code == 429:
            report.outcomes["turned away"] += 1
            return
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:]).get("choices", []):
                    said[choice["index"]] += choice["delta"].get("content") or ""
    report.outcomes["streamed"] += 1
    if said != answer:
        report.wrong.append(f"streamed {said} instead of {answer}")


async def leave(client: httpx.AsyncClient, body: dict[str, Any], patience: float, stream: bool) -> None:
    """A client that loses its patience, early or late."""
    endless = body | {"max_tokens": 2000, "ignore_eos": True, "stream": stream}
    endless.pop("grammar", None)
    try:
        async with asyncio.timeout(patience), client.stream("POST", PATH, json=endless) as response:
            async for _ in response.aiter_bytes():
                continue
    except TimeoutError:
        return


@dataclass(frozen=True)
class Resources:
    """What a process holds: threads, open files, and resident memory in MiB."""

    threads: int
    files: int
    memory: float

    @classmethod
    def of(cls, process: psutil.Process) -> Resources:
        """What it holds now."""
        return cls(process.num_threads(), process.num_fds(), process.memory_info().rss / 2**20)


def resources() -> dict[str, float]:
    """What this process holds: threads of Python, open files, resident memory in MiB."""
    found = Resources.of(psutil.Process())
    return {"threads": threading.active_count(), "files": found.files, "memory": found.memory}


class Curve(threading.Thread):
    """Notes what a process holds, again and again, until it is stopped."""

    def __init__(self, process: psutil.Process, seconds: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.samples: list[Resources] = []
        self._seconds = seconds
        self._stop_asked = threading.Event()
        self.start()

    def run(self) -> None:
        """Take a sample at a time."""
        while not self._stop_asked.wait(self._seconds):
            with suppress(psutil.Error):
                self.samples.append(Resources.of(self.process))

    def stop(self) -> list[Resources]:
        """All samples."""
        self._stop_asked.set()
        self.join()
        return self.samples

    def write(self, path: str) -> None:
        """All samples as CSV."""
        lines = [",".join(map(str, ("second", *(each.name for each in fields(Resources)))))]
        lines += [",".join(map(str, (number, *astuple(each)))) for number, each in enumerate(self.samples, start=1)]
        Path(path).write_text("\n".join(lines) + "\n")


@contextmanager
def two_models(folder: Path) -> Iterator[tuple[str, psutil.Process, Path]]:
    """``mistralrs serve`` with two models, one in memory at a time: its address, its process and its log."""
    from mistralrs_cli.loading import open_checkpoint
    from mistralrs_cli.options import ModelOptions

    other = folder / "other"
    shutil.copytree(open_checkpoint(ModelOptions()).folder, other)
    change_weights(other / "model.safetensors")
    models = ["-m", "demo", "-m", f"{other}@name=other", "--max-models-loaded", "1", "--dtype", "f32", "--cpu"]
    more = ["-p", "0", "--max-seqs", "16", "--batch-folder", str(folder / "jobs"), "--log-format", "json"]
    log = folder / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "mistralrs_cli", "serve", *models, *more]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        address = None
        while address is None and process.poll() is None:
            time.sleep(0.1)
            address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert address is not None, log.read_text()
        while httpx.get(f"{address[0]}/ready").status_code != 200:
            time.sleep(0.1)
        yield address[0], psutil.Process(process.pid), log
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, log.read_text()[-2000:]
    finally:
        process.kill()


def change_weights(path: Path, seed: int = 1) -> None:
    """Give a checkpoint slightly other weights, so that it answers other things."""
    import torch
    from safetensors.torch import load_file, save_file

    generator = torch.Generator().manual_seed(seed)
    weights = load_file(path)
    for weight in weights.values():
        if weight.is_floating_point() and weight.ndim > 1:
            noise = torch.randn(weight.shape, generator=generator)
            weight += (0.05 * weight.float().std() * noise).to(weight.dtype)
    save_file(weights, path, {"format": "pt"})


def figures(url: str, name: str) -> dict[str, float]:
    """A metric by its labels."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def unfinished(url: str) -> list[str]:
    """What a server still has to do."""
    names = ("running_sequences", "waiting_requests", "requests_in_flight", "kv_cache_tokens", "media_bytes")
    left = [
        f"{name}{labels} {value:g}"
        for name in names
        for labels, value in figures(url, f"mistralrs_{name}").items()
        if value and name != "kv_cache_tokens"
    ]
    listed = httpx.get(f"{url}/v1/batches", params={"limit": 10_000}, timeout=60).json()["data"]
    return left + [f"{one['id']} {one['status']}" for one in listed if one["status"] in UNFINISHED]


UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling")
GROWTH = 1.1  # resident memory of the last tenth beside that of the second tenth
NOTED = 20  # points of the curve that are printed


def grown(samples: Sequence[Resources]) -> str | None:
    """What has grown since the first tenth of the time, in words; a process that has done all it does grows no more."""
    tenth = max(1, len(samples) // 10)
    first, last = samples[tenth : 2 * tenth] or samples, samples[-tenth:]
    found = []
    for name, room in (("threads", 8), ("files", 16)):
        before, after = (median(getattr(each, name) for each in part) for part in (first, last))
        if after > before + room:
            found.append(f"{name}: {before:g} before, {after:g} after")
    before, after = (median(each.memory for each in part) for part in (first, last))
    if after > GROWTH * before:
        found.append(f"memory: {before:.0f} MiB before, {after:.0f} MiB after")
    return "; ".join(found) or None


def main() -> None:
    """Serve two models, or go to a server that runs, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--phase", type=int, default=100)
    parser.add_argument("--curve")
    parser.add_argument("--url")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.url:
        print(asyncio.run(soak(given.url, given.requests, given.at_once, given.seed)))
        return
    both = ("demo", "other")
    with tempfile.TemporaryDirectory() as folder, two_models(Path(folder)) as (url, process, log):
        # what is made once is made
        asyncio.run(soak(url, given.at_once * 4, given.at_once, seed=99, models=both, phase=given.phase))
        curve, begun = Curve(process), time.perf_counter()
        report = asyncio.run(soak(url, given.requests, given.at_once, given.seed, models=both, phase=given.phase))
        print(report)
        until = time.monotonic() + 120
        while (left := unfinished(url)) and time.monotonic() < until:
            time.sleep(0.5)
        samples = curve.stop()
        print(f"{time.perf_counter() - begun:.0f} s, {sum(process.cpu_times()[:2]):.0f} s of CPU time")
        loads = figures(url, "mistralrs_model_loads_total")
        print(f"models loaded: {', '.join(f'{labels} {count:g}' for labels, count in loads.items())}")
        for sample in samples[:: max(1, len(samples) // NOTED)]:
            print(f"{sample.threads} threads, {sample.files} files, {sample.memory:.0f} MiB")
        print(f"most: {max(each.memory for each in samples):.0f} MiB")
        if given.curve:
            curve.write(given.curve)
        failures = [line for line in log.read_text().splitlines() if '"event": "error"' in line or "failure" in line]
        for line in [*left, *failures]:
            print(f"LEFT {line}")
        if (growth := grown(samples)) is not None:
            print(f"GROWN {growth}")
    if report.wrong or left or failures or growth:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
