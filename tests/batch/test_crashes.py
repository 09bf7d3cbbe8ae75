"""A batch that is killed at any moment and run again has every row once, and each is right."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.crashes import FILLING

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")]

KILLS = 20
ROWS = 200


@pytest.mark.parametrize(("name", "kills"), [("out.jsonl", KILLS), ("out.csv", 5)])
def test_every_row_is_there_once(name: str, kills: int, tmp_path: Path, samples: Path, root: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in range(1, ROWS + 1):
        (shots / f"{number}.txt").write_text(f"file {number}")
    words = ["shots/*.txt", "-m", "M", "-i", "Is it {stem}?", "-o", name, "--ordered", "--jobs", "4", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.crashes", str(kills), str(ROWS), *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sizes = [int(size) for size in done.stdout.split()]
    assert len(sizes) == kills
    assert sizes[-1] > sizes[0]
    if name == "out.csv":
        with (tmp_path / name).open(newline="") as file:
            rows = [(row["id"], row["answer"]) for row in csv.DictReader(file)]
    else:
        rows = [(row["id"], row["answer"]) for row in map(json.loads, (tmp_path / name).read_text().splitlines())]
    assert [row[0] for row in rows] == [f"shots/{number}.txt" for number in range(1, ROWS + 1)]
    for number, (_, answer) in enumerate(rows, start=1):
        assert f"file {number}\n" in answer
        assert answer.endswith(f"Is it {number}? {FILLING}")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "shots"])
