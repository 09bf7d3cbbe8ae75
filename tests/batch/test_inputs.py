"""From words to rows."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.batch.inputs import Ask, Inputs
from mistralrs_cli.batch.rows import Row
from mistralrs_cli.errors import MediaNotFound, OptionError
from mistralrs_cli.messages import MediaRef


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of every kind, none of which is read."""
    monkeypatch.chdir(tmp_path)
    for name in ("a1.jpg", "a2.jpg", "b/a1.png", "b/a2.png", "c.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"words")
    return tmp_path


def rows(*words: str, stdin: bytes | None = None, form: Any = None, **asked: Any) -> list[Row]:
    """The rows of some words."""
    inputs = Inputs(words, Ask(**asked), form=form, stdin=None if stdin is None else io.BytesIO(stdin))
    found = list(inputs)
    assert list(map(str, inputs)) == list(map(str, found))  # as often as one likes
    inputs.close()
    return found


def shown(row: Row) -> tuple[list[tuple[str, str]], str]:
    """The media of the last message and its words."""
    last = row.messages[-1]
    return [(medium.kind, medium.source) for medium in last.media], last.text


def test_files_are_rows() -> None:
    found = rows("a*.jpg", "c.wav", "b", template="{stem}?")
    assert [row.id for row in found] == ["a1.jpg", "a2.jpg", "c.wav", "b/a1.png", "b/a2.png"]
    assert shown(found[2]) == ([("audio", "c.wav")], "c?")


def test_text_files_are_put_before_the_question() -> None:
    (row,) = rows("notes.txt", template="Sum up.")
    assert [getattr(part, "source", "") for part in row.messages[0].parts] == ["notes.txt", ""]


def test_the_same_file_twice_is_two_rows() -> None:
    assert [row.id for row in rows("a1.jpg", "a*.jpg", "a1.jpg")] == ["a1.jpg", "a1.jpg#2", "a2.jpg", "a1.jpg#3"]


def test_pairs_by_name_and_by_order() -> None:
    found = rows("a*.jpg", "b/*.png", pair=True, template="{name} and {name2}")
    assert [shown(row) for row in found] == [
        ([("image", "a1.jpg"), ("image", "b/a1.png")], "a1.jpg and a1.png"),
        ([("image", "a2.jpg"), ("image", "b/a2.png")], "a2.jpg and a2.png"),
    ]
    found = rows("a*.jpg", "b", per_row=2)
    assert [row.id for row in found] == ["a1.jpg a2.jpg", "b/a1.png b/a2.png"]


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["a*.jpg", "b/a1.png"], {"pair": True}, "a2.jpg has no partner"),
        (["a*.jpg"], {"pair": True}, "two or more inputs"),
        (["a*.jpg", "c.wav"], {"per_row": 2}, "3 files cannot be put into rows of 2"),
        ([], {}, "There is no input"),
        (["-", "-"], {}, "read once only"),
    ],
)
def test_words_that_make_no_sense_together(words: list[str], asked: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        rows(*words, stdin=b"", **asked)


def test_media_of_all_rows_come_first() -> None:
    found = rows("a*.jpg", media=(MediaRef("image", "ref.png"),), template="x", system="Be brief.")
    assert shown(found[1])[0] == [("image", "ref.png"), ("image", "a2.jpg")]
    assert [message.role for message in found[1].messages] == ["system", "user"]


def test_a_list_on_stdin() -> None:
    assert [row.id for row in rows("-", stdin=b"a1.jpg\n\nmissing.jpg\n")] == ["a1.jpg", "missing.jpg"]
    assert [row.id for row in rows("-", stdin=b"a b.jpg\0c\nd.jpg\0")] == ["a b.jpg", "c\nd.jpg"]
    (row,) = rows("-", stdin=b'\n{"prompt": "Hi"}\n')
    assert (row.id, shown(row)) == ("stdin:1", ([], "Hi"))


def test_a_csv_with_columns(here: Path) -> None:
    (here / "q.csv").write_text(
        "\ufeffid,prompt,before,image,image_2,label\n"
        '7,"Same, or not?",x,a1.jpg,b/a1.png,yes\n'
        "\n"
        '8,What?,y,"[""a1.jpg"", ""a2.jpg""]",,no\n'
        "9,,z,,,none\n",
        encoding="utf-8",
    )
    first, second, third = rows("q.csv")
    assert shown(first) == ([("image", "a1.jpg"), ("image", "b/a1.png")], "Same, or not?")
    assert (first.id, first.columns["label"]) == ("q.csv:1", "yes")
    assert shown(second) == ([("image", "a1.jpg"), ("image", "a2.jpg")], "What?")
    assert isinstance(third.error, OptionError)
    assert shown(rows("q.csv", template="Is {stem} {row.label}?")[0])[1] == "Is a1 yes?"


@pytest.mark.parametrize(
    ("name", "text"), [("q.tsv", "prompt\tx\nHi\t1\n"), ("q.csv", "prompt;x\nHi;1\n"), ("q.csv", "prompt,x\r\nHi,1")]
)
def test_other_separators(name: str, text: str, here: Path) -> None:
    (here / name).write_text(text, newline="")
    (row,) = rows(name)
    assert (shown(row)[1], row.columns["x"]) == ("Hi", "1")


def test_a_jsonl_of_columns_messages_and_batch_lines(here: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": "a1.jpg"}}
    lines: list[Any] = [
        {"prompt": "Hi", "n": [1]},
        [{"role": "user", "content": "Hi"}],
        {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "Hi"}]}], "temperature": 0, "id": 5},
        {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}},
    ]  # fmt: skip
    (here / "q.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    found = rows("q.jsonl", system="Be brief.")
    assert [row.error for row in found] == [None] * 4
    assert [row.messages[-1].text for row in found] == ["Hi"] * 4
    assert [row.messages[0].text for row in found] == ["Be brief."] * 4
    assert shown(found[2])[0] == [("image", "a1.jpg")]
    assert (found[2].columns, found[2].sampling and found[2].sampling.temperature) == ({"id": 5}, 0)
    assert (found[3].id, found[3].custom_id) == ("x", "x")
    assert found[3].sampling is not None
    assert found[3].sampling.max_tokens == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON from column 2 on"),
        ("7", "is no object"),
        ('{"messages": []}', "messages is empty"),
        ('{"messages": "Hi", "guided_json": {"a": 1}}', "guided_json is not a field known here"),
        ('{"messages": "Hi", "temperature": "hot"}', "temperature must be a number"),
        ('{"messages": "Hi", "n": 2}', "n is 2"),
        ('{"custom_id": "a", "url": "/v1/embeddings", "body": {}}', "url is '/v1/embeddings'"),
        ('{"prompt": ["x"]}', "The column prompt is no text"),
        ('{"image": 7}', "no path"),
        ('{"colour": "red"}', "neither a prompt nor a file"),
    ],
)
def test_a_bad_line_fails_alone(line: str, said: str, here: Path) -> None:
    (here / "q.jsonl").write_text(f'{line}\n{{"prompt": "Hi"}}\n')
    bad, good = rows("q.jsonl")
    assert said in str(bad.error)
    assert good.error is None


def test_a_prompt_for_rows_with_messages_is_refused(here: Path) -> None:
    (here / "q.jsonl").write_text('{"messages": "Hi"}')
    assert "takes no -i" in str(rows("q.jsonl", template="x")[0].error)


def test_a_file_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(MediaNotFound, match=r"No such file: a3\.jpg"):
        rows("a1.jpg", "a3.jpg")


def test_a_file_of_any_name_may_be_a_list(here: Path) -> None:
    (here / "list.txt").write_text("a2.jpg\na1.jpg\n")
    assert [row.id for row in rows("list.txt", form="paths")] == ["a2.jpg", "a1.jpg"]
    (here / "table.txt").write_text("prompt\nHi\n")
    assert [row.id for row in rows("table.txt", form="csv")] == ["table.txt:1"]
