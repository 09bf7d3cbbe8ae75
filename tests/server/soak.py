"""Many mixed requests at a server beside batch jobs: good ones, bad media, clients that leave.

Nothing may leak, and no answer may differ, in a batch either.

    python -m tests.server.soak [--requests 2000] [--at-once 24] [--url http://127.0.0.1:1234]

Without ``--url`` the demo model is served by this process. What is printed at the end: outcomes, wrong answers, and
rows, requests, threads, open files and memory before and after. The exit code is 1 where something is wrong or left.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

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


async def soak(url: str, requests: int, at_once: int, seed: int = 0) -> Report:
    """Send ``requests`` requests, ``at_once`` at a time, in an order drawn with ``seed``."""
    dice = random.Random(seed)
    report = Report()
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once // 2)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        expected = []
        for body in good():
            response = await client.post(PATH, json=body)
            assert response.status_code == 200, response.text
            expected.append((body, texts(response.json())))
        gate = asyncio.Semaphore(at_once)

        async def one(draw: float, which: int, patience: float) -> None:
            async with gate:
                body, answer = expected[which % len(expected)]
                if draw < 0.45:
                    await check(client, body, answer, report)
                elif draw < 0.65:
                    await check_stream(client, body, answer, report)
                elif draw < 0.8:
                    bad, status = BAD[which % len(BAD)]
                    found = (await client.post(PATH, json=bad)).status_code
                    report.outcomes["refused"] += 1
                    if found != status:
                        report.wrong.append(f"status {found}, not {status}: {str(bad)[:200]}")
                else:
                    await leave(client, body, patience, draw < 0.9)
                    report.outcomes["left"] += 1

        beside = asyncio.ensure_future(batches(url, expected, report))
        await asyncio.gather(*(one(dice.random(), dice.randrange(1000), dice.random() * 0.6) for _ in range(requests)))
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside
    return report


async def batches(url: str, expected: list[tuple[dict[str, Any], list[str]]], report: Report) -> None:
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


def resources() -> dict[str, float]:
    """What this process holds: threads, open files, resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    return {
        "threads": threading.active_count(),
        "files": files,
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    }


def main() -> None:
    """Serve the demo model, or go to a server that runs, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--url")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.url:
        print(asyncio.run(soak(given.url, given.requests, given.at_once, given.seed)))
        return
    from mistralrs_cli.engine import Engine
    from mistralrs_cli.loading import load, open_checkpoint
    from mistralrs_cli.options import ModelOptions, ServerOptions
    from tests.server.conftest import serving

    options = ModelOptions(dtype="f32", cpu=True)
    with (
        Engine(load(open_checkpoint(options), options), max_rows=16, prefixes=8) as engine,
        tempfile.TemporaryDirectory() as folder,
        serving(engine, ServerOptions(port=0, batch_folder=folder)) as server,
    ):
        asyncio.run(soak(server.url, given.at_once * 4, given.at_once, seed=99))  # what is made once is made
        before, begun = resources(), time.perf_counter()
        report = asyncio.run(soak(server.url, given.requests, given.at_once, given.seed))
        print(report)
        until = time.monotonic() + 60
        while (left := engine.running + engine.waiting + server.service.in_flight) and time.monotonic() < until:
            time.sleep(0.1)
        print(f"{time.perf_counter() - begun:.0f} s; rows {engine.running}, waiting {engine.waiting}")
        print(f"in flight {server.service.concurrency.in_flight}, active {len(server.service.active)}")
        for name, amount in resources().items():
            print(f"{name}: {before[name]:.0f} before, {amount:.0f} after")
        for streams in server.service.active:
            print(f"LEFT {streams.log_fields}, {streams.request.choices} answers: {streams.request.text[:100]}")
    if report.wrong or left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
