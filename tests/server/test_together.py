"""Many requests at a time through the real client: each answer is the one it gets alone, and nothing is left over."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.options import ServerOptions

from .conftest import Running, Start, serving
from .soak import good, resources, soak
from .test_chat import until

TAKEN = {"messages", "max_tokens", "temperature", "seed", "stop", "frequency_penalty", "presence_penalty", "n"}
TAKEN |= {"top_p", "logit_bias"}


async def ask(client: openai.AsyncOpenAI, body: dict[str, Any], stream: bool) -> list[str]:
    """All choices of one request, whole or added up."""
    known = {key: value for key, value in body.items() if key in TAKEN}
    extra = {key: value for key, value in body.items() if key not in TAKEN}
    if not stream:
        done = await client.chat.completions.create(model="default", extra_body=extra, **known)
        return [choice.message.content or "" for choice in done.choices]
    said = [""] * body.get("n", 1)
    async for chunk in await client.chat.completions.create(model="default", extra_body=extra, stream=True, **known):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    return said


def test_thirty_two_at_a_time_answer_as_they_do_alone(server: Running) -> None:
    async def both() -> tuple[list[list[str]], list[list[str]]]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0, timeout=600) as client:
            alone = [await ask(client, body, stream=False) for body in good()]
            together = await asyncio.gather(
                *(ask(client, body, stream=index % 2 == 0) for index, body in enumerate(good() * 2))
            )
            return alone, together

    alone, together = asyncio.run(both())
    assert together == alone * 2
    assert len({str(said) for said in alone}) > 8


def test_a_small_soak_leaves_nothing_behind(start: Start, engine: Engine, tmp_path: Path) -> None:
    server = start(queue=200, batch_folder=str(tmp_path / "jobs"))
    asyncio.run(soak(server.url, 4, 4, seed=1))
    before = resources()
    report = asyncio.run(soak(server.url, 30, 10, seed=2))
    assert report.wrong == []
    assert {"whole", "streamed", "refused", "left"} <= report.outcomes.keys()
    until(lambda: engine.running == 0 and engine.waiting == 0)
    until(lambda: server.service.concurrency.in_flight == 0)
    assert server.service.active == set()
    until(lambda: resources()["files"] <= before["files"] + 2)
    workers = 10  # of the pools that read requests and media: one for each request at a time, where 30 were answered
    assert resources()["threads"] <= before["threads"] + workers


@pytest.mark.parametrize("choices", [1, 3])
def test_media_are_nobody_elses(server: Running, samples: Any, choices: int) -> None:
    """Equal words and placeholders, different pictures, at the same time."""

    async def ask_all() -> list[list[str]]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0, timeout=600) as client:
            names = ["red_circle.png", "before.png", "after.png"] * 4
            bodies = [
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "image_url", "image_url": {"url": str(samples / name)}},
                                {"type": "text", "text": "What is in this picture?"},
                            ],
                        }
                    ],
                    "temperature": 0,
                    "max_tokens": 12,
                    "n": choices,
                }
                for name in names
            ]
            return list(await asyncio.gather(*(ask(client, body, stream=False) for body in bodies)))

    said = asyncio.run(ask_all())
    assert all("red circle" in text.lower() for answer in said[::3] for text in answer)
    assert not any("red circle" in text.lower() for answer in said[1::3] + said[2::3] for text in answer)
    assert said[:3] * 4 == said


def test_a_picture_is_looked_at_once_for_all(server: Running, engine: Engine, samples: Path) -> None:
    """Two pictures behind six texts, at the same time: every answer as without the cache, and two looks."""

    async def ask_all(url: str) -> list[list[str]]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0, timeout=600) as client:
            bodies = [
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": f"{words}: "},
                                {"type": "image_url", "image_url": {"url": str(samples / name)}},
                                {"type": "text", "text": "What is in this picture?"},
                            ],
                        }
                    ],
                    "temperature": 0,
                    "max_tokens": 12,
                }
                for words in ("Look", "Here is something", "Tell me about this")
                for name in ("red_circle.png", "before.png")
            ]
            return list(await asyncio.gather(*(ask(client, body, stream=False) for body in bodies)))

    with Engine(engine.loaded, prefixes=4) as keeping, serving(keeping, ServerOptions(port=0)) as running:
        said = asyncio.run(ask_all(running.url))
        numbers = httpx.get(f"{running.url}/metrics").text
    assert said == asyncio.run(ask_all(server.url))
    assert said[0] != said[1]
    assert 'mistralrs_encoder_items_total{cache="miss",model="demo"} 2.0' in numbers
    assert 'mistralrs_encoder_items_total{cache="hit",model="demo"} 4.0' in numbers
