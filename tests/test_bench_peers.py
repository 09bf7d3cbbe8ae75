"""The table of `make bench-peers` says what is reached, what is missed, and what is not there."""

import pytest

from benchmarks.peers.__main__ import GOALS, engines, show


def test_goals_are_compared_by_medians(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        {
            "mistralrs 8": {"decode": [5.0, 7.0, 6.5], "first": [2.0]},
            "llama.cpp Q8_0": {"decode": [10.0, 11.0, 10.0]},
            "mistralrs 4": {"failed": [1.0]},
            "llama.cpp Q4_K_M": "not measured: npm is not installed",
        },
        GOALS["small"],
    )
    lines = capsys.readouterr().out.splitlines()
    assert "6.50 (7.00)" in lines[1]
    assert "failed" in lines[3]
    assert lines[4].endswith("not measured: npm is not installed")
    assert lines[5] == "mistralrs 8, decode: at least 0.6 of llama.cpp Q8_0: 0.65, reached"
    assert lines[6] == "mistralrs 4, decode: at least 0.6 of llama.cpp Q4_K_M: not measured"


def test_every_goal_names_rows_that_are_measured() -> None:
    rows = {engine.name for engine in engines()}
    for goals in GOALS.values():
        assert {name for goal in goals for name in (goal.row, goal.other)} <= rows
