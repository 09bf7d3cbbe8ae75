"""``mistralrs batch`` through ``main``: a row out for every row in, whatever happens in between."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.batch import answering
from mistralrs_cli.cli import batch_run
from mistralrs_cli.cli.app import main
from mistralrs_cli.errors import EngineDown, EngineLost, MediaDecodeError, OptionError
from mistralrs_cli.events import Done, Event, Timing, Usage
from mistralrs_cli.messages import MediaBytes, Message
from mistralrs_cli.options import AttachOptions, Sampling
from tests.fake_model import FakeEngine, FakeFamily, FakeModels
from tests.media.pdf import document
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]
COUNT = 12


def echo(messages: Sequence[Message]) -> Iterator[Event | str]:
    """The names of the media, and the words."""
    last = messages[-1]
    yield " ".join([*(Path(medium.source).stem for medium in last.media), last.text])


@pytest.fixture
def models() -> FakeModels:
    """A model that says what it was asked."""
    return FakeModels(echo, family=FakeFamily())


@pytest.fixture(autouse=True)
def shots(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dozen pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(answering, "PAUSE", 0.0)
    monkeypatch.setattr(batch_run, "AHEAD", 0)  # with one job, one row after the other
    data = (samples / "red_circle.png").read_bytes()
    for number in range(1, COUNT + 1):
        (tmp_path / f"s{number}.png").write_bytes(data)
    return tmp_path


def lines(path: str = "out.jsonl") -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def table(path: str) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run(models: FakeModels, *words: str) -> int:
    """``mistralrs batch`` over the pictures."""
    return main(["batch", "s*.png", "-m", "M", "-i", "Is it {stem}?", *words], models)


ANSWERS = {f"s{number}.png": f"s{number} Is it s{number}?" for number in range(1, COUNT + 1)}


def answers(path: str = "out.jsonl") -> dict[str, Any]:
    """The answer of each row; every id is there once."""
    found = lines(path)
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["answer"] for row in found}


def test_every_picture_is_a_row(models: FakeModels, capsys: Captured) -> None:
    assert run(models, "-o", "out.jsonl", "--ordered") == 0
    assert answers() == ANSWERS
    assert [row["id"] for row in lines()] == list(ANSWERS)  # s2 before s10
    assert lines()[0].keys() == {
        *("id", "path", "answer", "finish_reason", "prompt_tokens", "completion_tokens", "seconds", "digest")
    }
    out, err = capsys.readouterr()
    assert out == ""
    assert "12 rows: 12 answered" in err
    assert models.calls == ["open", "load", "close"]


def test_rows_go_to_stdout_in_order(models: FakeModels, capsys: Captured) -> None:
    assert run(models, "--ordered", "--jobs", "5", "-q") == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["id"] for line in out.splitlines()] == list(ANSWERS)
    assert err == ""


def test_a_finished_run_is_not_run_again(models: FakeModels, capsys: Captured) -> None:
    run(models, "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    assert run(models, "-o", "out.jsonl") == 0
    assert Path("out.jsonl").read_bytes() == before
    assert len(models.asked) == COUNT
    assert "12 rows already, 0 left" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [0, 1, 9, 60])
def test_a_stopped_run_goes_on(cut: int, models: FakeModels) -> None:
    run(models, "-o", "out.jsonl")
    whole = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    Path("out.jsonl").write_bytes(b"".join(whole[:5]) + whole[5][:cut])  # killed while it wrote the sixth row
    models.asked.clear()
    assert run(models, "-o", "out.jsonl") == 0
    assert len(models.asked) == COUNT - 5
    assert answers() == ANSWERS
    assert Path("out.jsonl").read_bytes().splitlines(keepends=True)[:5] == whole[:5]


def test_new_inputs_are_added_and_those_gone_stay(models: FakeModels, shots: Path, capsys: Captured) -> None:
    run(models, "-o", "out.jsonl")
    (shots / "s3.png").rename(shots / "s30.png")
    models.asked.clear()
    assert run(models, "-o", "out.jsonl", "--ordered") == 0
    assert [message.text for asked in models.asked for message in asked] == ["Is it s30?"]
    assert "1 row of out.jsonl are of inputs that are not given now" in capsys.readouterr().err
    assert [row["id"] for row in lines()][-2:] == ["s30.png", "s3.png"]


def test_a_changed_input_is_asked_anew(models: FakeModels, shots: Path, samples: Path, capsys: Captured) -> None:
    run(models, "-o", "out.jsonl")
    (shots / "s3.png").write_bytes((samples / "shapes.png").read_bytes())
    models.asked.clear()
    assert run(models, "-o", "out.jsonl") == 0
    assert [asked[-1].text for asked in models.asked] == ["Is it s3?"]
    assert "1 input changed since they were answered" in capsys.readouterr().err
    assert answers() == ANSWERS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "What?"], "out.jsonl holds answers to another prompt."),
        (["-i", "Is it {stem}?", "-m", "N", "--temperature", "0.5"], "another model and other options."),
        (["-i", "Is it {stem}?", "-m", "M", "-s", "Be brief."], "another prompt"),
    ],
)
def test_the_output_of_another_run_is_refused(
    words: list[str], said: str, models: FakeModels, capsys: Captured
) -> None:
    run(models, "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    line = ["batch", "s*.png", "-o", "out.jsonl", "-m", "M", *words]
    assert main(line, models) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--overwrite" in err
    assert Path("out.jsonl").read_bytes() == before
    assert main([*line, "--overwrite"], models) == 0
    assert len(lines()) == COUNT


def test_answers_about_other_files_are_refused(models: FakeModels, shots: Path, capsys: Captured) -> None:
    run(models, "-o", "out.jsonl")
    (shots / "t.png").write_bytes((shots / "s1.png").read_bytes())
    assert main(["batch", "t.png", "-m", "M", "-i", "Is it {stem}?", "-o", "out.jsonl"], models) == 2
    assert "holds 12 rows of other inputs, such as s" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["notes\n", '{"a": 1}\n', "not even a line", '{"id": "x", "digest": 3}\nwords\n'])
def test_a_file_of_other_things_is_never_written_over(text: str, models: FakeModels, capsys: Captured) -> None:
    Path("out.jsonl").write_text(text, encoding="utf-8")
    assert run(models, "-o", "out.jsonl") == 2
    assert "was not written by mistralrs batch" in capsys.readouterr().err
    assert Path("out.jsonl").read_text(encoding="utf-8") == text
    assert models.calls == []


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_two_runs_do_not_write_one_file(models: FakeModels, capsys: Captured) -> None:
    import fcntl

    with Path("out.jsonl").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run(models, "-o", "out.jsonl") == 2
    assert "is being written by another run" in capsys.readouterr().err


def failing(messages: Sequence[Message]) -> Iterator[Event | str]:
    """Fails for one picture."""
    if messages[-1].media[0].source == "s3.png":
        raise MediaDecodeError("s3.png is damaged.", "Take another one.")
    return echo(messages)


def test_a_failure_fails_alone(models: FakeModels, shots: Path, capsys: Captured) -> None:
    models.answers = [failing]
    (shots / "s5.png").write_bytes(b"no picture")
    assert run(models, "-o", "out.jsonl") == 1
    found = {row["id"]: row for row in lines()}
    assert found["s3.png"]["error"] == {
        "code": "media_decode_error",
        "message": "s3.png is damaged.",
        "hint": "Take another one.",
    }
    assert found["s5.png"]["answer"] is None
    assert found["s4.png"]["answer"] == ANSWERS["s4.png"]
    err = capsys.readouterr().err
    assert "s3.png failed: s3.png is damaged." in err
    assert "12 rows: 10 answered, 2 failed" in err
    models.asked.clear()
    assert run(models, "-o", "out.jsonl") == 1  # they stay failed
    assert models.asked == []
    assert "--on-error retry asks them again" in capsys.readouterr().err
    models.answers = [echo]
    assert run(models, "-o", "out.jsonl", "--on-error", "retry") == 1
    assert [asked[-1].text for asked in models.asked] == ["Is it s3?"]
    assert "12 rows: 11 answered, 1 failed" in capsys.readouterr().err
    assert {name for name, answer in answers().items() if answer is None} == {"s5.png"}


def test_retrying_helps_where_a_failure_passes(models: FakeModels) -> None:
    models.answers = [MediaDecodeError("gone"), MediaDecodeError("gone"), echo]
    assert run(models, "-o", "out.jsonl", "--on-error", "retry", "--jobs", "1") == 0
    assert answers() == ANSWERS


def test_stopping_at_the_first_failure(models: FakeModels, capsys: Captured) -> None:
    models.answers = [failing]
    assert run(models, "-o", "out.jsonl", "--on-error", "stop", "--jobs", "1") == 1
    assert "s3.png" in answers()
    assert len(answers()) < COUNT
    assert "the same command goes on from there" in capsys.readouterr().err
    models.answers = [echo]
    assert run(models, "-o", "out.jsonl", "--on-error", "stop") == 0
    assert answers() == ANSWERS


def test_an_engine_that_is_down_ends_the_run(models: FakeModels, capsys: Captured) -> None:
    models.answers = [echo, echo, EngineDown("The engine has failed.", "Restart.")]
    assert run(models, "-o", "out.jsonl", "--jobs", "1") == 5
    assert [row.get("error") for row in lines()] == [None, None]
    assert "out.jsonl has 2 of 12 rows; the same command goes on" in capsys.readouterr().err
    models.answers = [echo]
    assert run(models, "-o", "out.jsonl") == 0
    assert answers() == ANSWERS


def test_ctrl_c_says_how_to_go_on(models: FakeModels, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object, row: object, *rest: object) -> None:
        raise KeyboardInterrupt

    models.answers = [failing]
    monkeypatch.setattr(batch_run.BatchRun, "_tell", interrupted)
    assert run(models, "-o", "out.jsonl", "--jobs", "1") == 130
    assert "stopped: out.jsonl has 3 of 12 rows; the same command goes on from there" in capsys.readouterr().err
    assert models.calls[-1] == "close"


def test_all_rows_wrong_is_one_error(models: FakeModels, capsys: Captured) -> None:
    Path("q.csv").write_text("colour\nred\nblue\n", encoding="utf-8")
    assert main(["batch", "q.csv", "-m", "M", "-i", "{row.color}?"], models) == 2
    assert "Did you mean {row.colour}?" in capsys.readouterr().err
    assert models.calls == []


def test_a_model_that_cannot_see_is_refused_before_its_weights(models: FakeModels, capsys: Captured) -> None:
    family = FakeFamily()
    family.modalities = frozenset()
    models.family = family
    assert run(models, "-o", "out.jsonl") == 4
    assert models.calls == ["open"]
    assert not Path("out.jsonl").exists()


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}


def as_json(messages: Sequence[Message]) -> Iterator[Event | str]:
    """An answer under the schema; one is cut."""
    name = Path(messages[-1].media[0].source).stem
    whole = json.dumps({"name": name, "size": int(name[1:]), "digest": [1, {"a": "é,\n"}]}, ensure_ascii=False)
    yield whole[:9] if name == "s4" else whole
    yield Done("length" if name == "s4" else "stop", Usage(10, 5), Timing(), incomplete=name == "s4")


def test_json_answers_are_json_and_columns(models: FakeModels) -> None:
    Path("s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    models.answers = [as_json]
    assert run(models, "--schema", "s.json", "-o", "out.jsonl") == 1
    found = answers()
    assert found["s2.png"] == {"name": "s2", "size": 2, "digest": [1, {"a": "é,\n"}]}
    assert found["s4.png"] == '{"name": '
    assert run(models, "--schema", "s.json", "-o", "out.csv") == 1
    rows = table("out.csv")
    assert [row["id"] for row in rows] == list(ANSWERS)
    assert list(rows[0])[:5] == ["id", "path", "name", "size", "answer.digest"]
    assert (rows[1]["name"], rows[1]["size"], json.loads(rows[1]["answer.digest"])) == ("s2", "2", [1, {"a": "é,\n"}])
    assert (rows[3]["answer"], rows[3]["error_code"]) == ('{"name": ', "generation_error")
    assert not list(Path().glob("*.partial*"))


def test_parquet_keeps_types(models: FakeModels) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    Path("s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    models.answers = [as_json]
    assert run(models, "--schema", "s.json", "-o", "out.parquet") == 1
    rows = parquet.read_table("out.parquet").to_pylist()
    assert [row["size"] for row in rows] == [1, 2, 3, None, *range(5, COUNT + 1)]
    models.asked.clear()
    assert run(models, "--schema", "s.json", "-o", "out.parquet") == 1
    assert models.asked == []
    assert parquet.read_table("out.parquet").to_pylist() == rows


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_goes_on_from_its_rows_and_from_itself(name: str, models: FakeModels, shots: Path) -> None:
    models.answers = [*[echo] * 4, EngineDown("down"), echo]
    assert run(models, "-o", name, "--jobs", "1") == 5
    assert not Path(name).exists()
    assert len(lines(f"{name}.partial.jsonl")) == 4
    assert run(models, "-o", name) == 0
    assert not Path(f"{name}.partial.jsonl").exists()
    (shots / "s13.png").write_bytes((shots / "s1.png").read_bytes())
    models.asked.clear()
    assert run(models, "-o", name) == 0
    assert [asked[-1].text for asked in models.asked] == ["Is it s13?"]
    if name == "out.csv":
        assert {row["id"]: row["answer"] for row in table(name)} == ANSWERS | {"s13.png": "s13 Is it s13?"}


def test_a_csv_that_is_no_output_stays(models: FakeModels, capsys: Captured) -> None:
    Path("out.csv").write_text("id,name\n1,Ada\n", encoding="utf-8")
    assert run(models, "-o", "out.csv") == 2
    assert "was not written by mistralrs batch" in capsys.readouterr().err
    assert Path("out.csv").read_text(encoding="utf-8") == "id,name\n1,Ada\n"
    assert sorted(path.name for path in Path().glob("out*")) == ["out.csv"]


def test_a_table_keeps_its_columns(models: FakeModels) -> None:
    Path("q.csv").write_text("id,prompt,answer,image\n7,What?,x,s1.png\n8,Why?,y,s2.png\n", encoding="utf-8")
    assert main(["batch", "q.csv", "-m", "M", "-o", "out.csv"], models) == 0
    rows = table("out.csv")
    assert [(row["id"], row["row.id"], row["prompt"], row["row.answer"], row["answer"]) for row in rows] == [
        ("q.csv:1", "7", "What?", "x", "s1 What?"),
        ("q.csv:2", "8", "Why?", "y", "s2 Why?"),
    ]


def test_a_line_put_into_a_table_moves_the_others(models: FakeModels) -> None:
    Path("q.csv").write_text("prompt\nA?\nB?\nB?\n", encoding="utf-8")
    assert main(["batch", "q.csv", "-m", "M", "-o", "out.jsonl", "--ordered"], models) == 0
    Path("q.csv").write_text("prompt\nNew?\nA?\nB?\nB?\n", encoding="utf-8")
    models.asked.clear()
    assert main(["batch", "q.csv", "-m", "M", "-o", "out.jsonl", "--ordered"], models) == 0
    assert [asked[-1].text for asked in models.asked] == ["New?"]
    assert [(row["id"], row["answer"]) for row in lines()] == [
        ("q.csv:1", "New?"), ("q.csv:2", "A?"), ("q.csv:3", "B?"), ("q.csv:4", "B?"),
    ]  # fmt: skip


def test_batch_lines_are_answered_by_batch_lines(models: FakeModels) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.25}
    batch = [{"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body} for name in "ab"]
    batch.append({"custom_id": "c", "url": "/v1/chat/completions", "body": {"messages": 3}})
    Path("q.jsonl").write_text("\n".join(json.dumps(line) for line in batch), encoding="utf-8")
    assert main(["batch", "q.jsonl", "-m", "M", "-o", "out.jsonl", "--ordered"], models) == 1
    first, _, last = lines()
    assert (first["custom_id"], first["error"], first["response"]["status_code"]) == ("a", None, 200)
    body = first["response"]["body"]
    assert body["choices"][0]["message"]["content"] == "Hi"
    assert body["usage"]["prompt_tokens"] == 7
    assert (last["response"], last["error"]["code"]) == (None, "option_error")
    assert models.samplings[0].temperature == 0.25


def test_a_dry_run_writes_nothing(models: FakeModels, capsys: Captured) -> None:
    assert run(models, "-o", "out.jsonl", "--dry-run", "--jobs", "2") == 0
    out = capsys.readouterr().out
    assert "rows: 12, 12 of them left" in out
    assert "prompts: about 204 tokens" in out
    assert "measured on 4 rows" in out
    assert len(models.asked) == 4
    assert not Path("out.jsonl").exists()
    run(models, "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    capsys.readouterr()
    assert run(models, "-o", "out.jsonl", "--dry-run", "--overwrite", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left"] == COUNT
    assert Path("out.jsonl").read_bytes() == before


def test_a_summary_for_programs(models: FakeModels, capsys: Captured) -> None:
    models.answers = [failing]
    assert run(models, "-o", "out.jsonl", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("rows", "answered", "failed", "left", "before", "output")} == {
        "rows": 12, "answered": 11, "failed": 1, "left": 0, "before": 0, "output": "out.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "{stm}"], "Did you mean {stem}?"),
        (["-i", "x", "-o", "out.xlsx"], "End it in .jsonl, .csv or .parquet"),
        (["-i", "x", "-o", "nowhere/out.jsonl"], "mkdir -p nowhere"),
        (["-i", "x", "-o", "."], "-o ., or add --format" if os.name == "nt" else "no format"),
        (["-i", "x", "--json"], "-o FILE"),
        (["-i", "x", "--format", "parquet"], "-o out.parquet"),
        (["-i", "x", "--pair", "--per-row", "2"], "exclude each other"),
    ],
)
def test_what_cannot_work_is_refused_at_once(words: list[str], said: str, models: FakeModels, capsys: Captured) -> None:
    assert main(["batch", "s*.png", *words], models) == 2
    assert said in capsys.readouterr().err
    assert models.calls == []


def test_media_of_every_row_need_rows(models: FakeModels, capsys: Captured) -> None:
    assert main(["batch", "--image", "s1.png", "s2.png", "-i", "x"], models) == 2
    assert "Name the rows first" in capsys.readouterr().err
    assert main(["batch", "s2.png", "-i", "x", "--image", "s1.png"], models) == 0
    assert [source for _, source in models.media] == ["s1.png", "s2.png"]


def test_no_question_is_said(models: FakeModels, capsys: Captured) -> None:
    assert main(["batch", "s1.png"], models) == 0
    out, err = capsys.readouterr()
    assert "no question given" in err
    assert json.loads(out)["answer"] == "s1 Describe this."


def test_a_list_on_stdin(models: FakeModels, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"s1.png\nmissing.png\n"))
    assert main(["batch", "-", "-m", "M", "-i", "x", "--ordered"], models) == 1
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["answer"] == "s1 x"
    assert second["error"]["code"] == "media_not_found"


def test_rows_without_errors_need_no_code(models: FakeModels) -> None:
    models.answers = [ValueError("odd")]
    assert run(models, "-o", "out.jsonl") == 1
    assert lines()[0]["error"] == {"code": "unexpected_error", "message": "ValueError: odd"}
    assert OptionError("x").code == "option_error"


class Elsewhere(FakeEngine):
    """An engine of another process, which is lost after some answers."""

    notices = ("it runs already",)
    policy: object = None

    def __init__(self, models: FakeModels, *, answers: int) -> None:
        super().__init__(models, "M")
        self.name = "M"
        self.left = answers

    def stream(self, messages: Sequence[Message], sampling: Sampling, *, watch: Any = None) -> Any:
        watch.note("a part of it is missing")
        self.left -= 1
        if self.left < 0:
            raise EngineLost("the engine of M (process 7) has ended")
        return super().stream(messages, sampling)


class Attaching(FakeModels):
    """Has an engine that runs already."""

    def __init__(self, *, answers: int) -> None:
        super().__init__(echo, family=FakeFamily())
        self.elsewhere = Elsewhere(self, answers=answers)

    def attach(self, options: object, how: AttachOptions, note: object = None) -> Any:
        return self.elsewhere if how.attach else None


def test_what_was_left_out_of_a_medium_is_said(models: FakeModels, samples: Path) -> None:
    assert main(["batch", "--input-format", "jsonl", "-", "-m", "M"], models) == 2  # nothing is piped
    Path("q.jsonl").write_text(json.dumps({"image": str(samples / "clip.gif"), "prompt": "x"}), encoding="utf-8")
    assert main(["batch", "q.jsonl", "-m", "M", "-o", "out.jsonl"], models) == 0
    assert "only its first image is used" in lines()[0]["notes"][0]


def test_boxes_that_could_not_be_placed_are_noted(models: FakeModels, samples: Path) -> None:
    models.answers = [['[{"bbox_2d": [0, 0, 500, 500]}, {"bbox_2d": [0, 0, 5000, 5000]}]']]
    assert main(["batch", str(samples / "photo.jpg"), "-m", "M", "-i", "Where?", "-o", "out.jsonl"], models) == 0
    (row,) = lines()
    assert len(row["boxes"]) == 1
    assert row["notes"] == ["1 of its boxes and points left out: they lie outside the image"]


def test_an_engine_that_runs_already_answers(capsys: Captured) -> None:
    models = Attaching(answers=COUNT)
    assert run(models, "-o", "out.jsonl") == 0
    assert answers() == ANSWERS
    assert models.calls == ["close"]  # nothing was opened or loaded
    assert all(isinstance(medium, MediaBytes) for asked in models.asked for medium in asked[-1].media)
    assert "it runs already" in capsys.readouterr().err
    assert lines()[0]["notes"] == ["a part of it is missing"]
    assert run(models, "-o", "other.jsonl", "--no-attach") == 0
    assert models.calls[1:] == ["open", "load", "close"]


def test_the_input_is_never_written_over(models: FakeModels, capsys: Captured) -> None:
    for name, text in (("q.jsonl", '{"prompt": "x"}\n'), ("q.csv", "prompt\nx\n")):
        Path(name).write_text(text)
        for more in ([], ["--overwrite"]):
            assert main(["batch", name, "-m", "M", "-o", name, *more], models) == 2
            assert Path(name).read_text() == text
        assert f"-o {name} is among the input" in capsys.readouterr().err


def test_every_page_of_a_document_goes_to_an_engine_elsewhere() -> None:
    Path("doc.pdf").write_bytes(document(3))
    models = Attaching(answers=1)
    assert main(["batch", "doc.pdf", "-m", "M", "-i", "What?", "-o", "out.jsonl"], models) == 0
    (asked,) = models.asked
    assert [medium.source for medium in asked[-1].media] == [f"doc.pdf#page={number}" for number in (1, 2, 3)]


def test_a_changed_document_is_noticed_behind_its_pages(models: FakeModels) -> None:
    Path("q.jsonl").write_text('{"image": "doc.pdf#page=2", "prompt": "x"}\n')
    for count, asked in ((3, 1), (3, 1), (4, 2)):
        Path("doc.pdf").write_bytes(document(count))
        os.utime("doc.pdf", (count, count))
        assert main(["batch", "q.jsonl", "-m", "M", "-o", "out.jsonl"], models) == 0
        assert len(models.asked) == asked


def test_an_engine_that_is_lost_is_replaced(capsys: Captured) -> None:
    models = Attaching(answers=5)
    assert run(models, "-o", "out.jsonl", "--jobs", "1") == 0
    assert answers() == ANSWERS
    assert len(models.asked) == COUNT  # none is asked twice
    err = capsys.readouterr().err
    assert "the engine of M (process 7) has ended; loading the model here" in err
    assert "12 rows: 12 answered" in err


def test_keep_leaves_an_engine_where_rows_are_left(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float | None] = []

    class Kept(FakeEngine):
        """An engine of another process, as far as rows need one."""

        name, notices, policy = "M", (), None

        def stream(self, messages: Sequence[Message], sampling: Sampling, watch: Any = None) -> Any:
            return super().stream(messages, sampling)

    def keep(options: Any, how: AttachOptions, **given: Any) -> Any:
        kept.append(how.keep)
        return Kept(models, "M")

    monkeypatch.setattr(models, "keep", keep)
    assert run(models, "-o", "out.jsonl", "--keep", "10m") == 0
    assert answers() == ANSWERS
    assert run(models, "-o", "out.jsonl", "--keep", "10m") == 0
    assert (kept, models.calls) == ([600.0], ["close"])
