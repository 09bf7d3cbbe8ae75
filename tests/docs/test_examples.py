"""Every program in examples/python runs, and says what it should about the samples."""

import ast
import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drift.source import ROOT

Captured = pytest.CaptureFixture[str]
FOLDER = ROOT / "examples" / "python"
TRIED = {
    "describe_folder", "transcribe", "ask_about_a_clip", "compare_pictures", "stream", "json_out", "many_requests",
    "in_fastapi", "tools",
}  # fmt: skip


def program(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_every_program_is_tried_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == TRIED


def test_describe_folder(samples: Path, tmp_path: Path, capsys: Captured) -> None:
    for name in ("red_circle.png", "before.png"):
        (tmp_path / name).write_bytes((samples / name).read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    program("describe_folder")["main"](str(tmp_path))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == ["before.png", "red_circle.png"]
    assert "red circle" in lines[1]["text"]


def test_transcribe(samples: Path, capsys: Captured) -> None:
    program("transcribe")["main"](str(samples / "digits.wav"))
    assert capsys.readouterr().out.strip()


def test_ask_about_a_clip(samples: Path, capsys: Captured) -> None:
    program("ask_about_a_clip")["main"](str(samples / "clip.mp4"), "0", "1")
    shown = capsys.readouterr()
    assert shown.err.startswith("2 of ")
    assert shown.out.strip()


def test_compare_pictures(samples: Path, capsys: Captured) -> None:
    program("compare_pictures")["main"](str(samples / "before.png"), str(samples / "after.png"))
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert int(shown.err.split()[0]) > 100


def test_stream(capsys: Captured) -> None:
    program("stream")["main"]("Who are you?")
    shown = capsys.readouterr()
    assert shown.out.strip()
    assert "tokens a second" in shown.err


def test_json_out(samples: Path, capsys: Captured) -> None:
    program("json_out")["main"](str(samples / "red_circle.png"))
    assert set(ast.literal_eval(capsys.readouterr().out)) == {"colour", "count"}


def test_many_requests(samples: Path, capsys: Captured) -> None:
    pictures = [str(samples / name) for name in ("red_circle.png", "before.png")]
    asyncio.run(program("many_requests")["main"](*pictures))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["red_circle.png", "before.png"]
    assert "red circle" in lines[0]


def test_in_fastapi(samples: Path) -> None:
    app = program("in_fastapi")["app"]

    async def visit() -> str:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                answer = await client.post("/describe", content=(samples / "red_circle.png").read_bytes())
                return str(answer.json()["text"])

    assert "red circle" in asyncio.run(visit())


def test_tools(capsys: Captured) -> None:
    program("tools")["main"]("What is the weather in Rome?")
    name, _, rest = capsys.readouterr().out.partition("(")
    assert name == "weather"
    assert rest.strip().endswith(("= sunny", "= snow"))
