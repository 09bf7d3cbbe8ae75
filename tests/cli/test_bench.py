"""``mistralrs bench`` measures what it says it measures."""

import json

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.bench import Speed, table

pytestmark = pytest.mark.slow

Captured = pytest.CaptureFixture[str]


def test_it_measures_every_number_of_requests(capsys: Captured) -> None:
    line = "bench --prompt-tokens 40 --answer-tokens 6 --requests 1 --requests 3 --rounds 1 --json --cpu"
    assert main(line.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("model", "dtype", "prompt_tokens", "answer_tokens", "rounds")} == {
        "model": "demo",
        "dtype": "float32",
        "prompt_tokens": 40,
        "answer_tokens": 6,
        "rounds": 1,
    }
    assert [speed["requests"] for speed in found["speeds"]] == [1, 3]
    for speed in found["speeds"]:
        read = speed["prompt_tokens_per_second"] * speed["first_token_seconds"]
        assert read == pytest.approx(40 * speed["requests"])
        assert speed["answer_tokens_per_second"] > 0


def test_the_table_reads_well() -> None:
    facts: dict[str, str | int] = {"model": "M", "dtype": "bfloat16", "device": "cpu", "rounds": 1}
    facts |= {"prompt_tokens": 1000, "answer_tokens": 64}
    lines = table(facts, [Speed(1, 0.5, 2000.0, 31.5), Speed(8, 4.25, 1882.4, 120.0)]).splitlines()
    assert lines[0] == "M, bfloat16 on cpu, prompts of 1,000 tokens, answers of 64"
    assert lines[2].split() == ["1", "0.50", "s", "2,000.0", "tok/s", "31.5", "tok/s"]
    assert len({len(line) for line in lines[1:]}) == 1


@pytest.mark.parametrize("line", ["--requests 0", "--rounds 0", "--answer-tokens 1", "--prompt-tokens -3"])
def test_what_cannot_be_measured_is_refused(line: str, capsys: Captured) -> None:
    assert main(["bench", *line.split()]) == 2
    assert "must be at least" in capsys.readouterr().err


def test_a_prompt_longer_than_the_context_is_refused(capsys: Captured) -> None:
    assert main(["bench", "--prompt-tokens", "8190", "--cpu"]) == 2
    assert "demo holds 8,192 tokens" in capsys.readouterr().err
