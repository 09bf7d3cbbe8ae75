"""What can be calibrated with."""

import json
from pathlib import Path

import pytest

from mistralrs_cli.calibration.prompts import Piece, Prompts, batched, cut
from mistralrs_cli.calibration.sources import Sample, read_samples
from mistralrs_cli.errors import OptionError
from mistralrs_cli.messages import MediaRef, Text
from mistralrs_cli.options import MediaPolicy


def test_texts_media_and_conversations(tmp_path: Path, samples: Path) -> None:
    (tmp_path / "some.txt").write_text("A few words.")
    lines = [
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]},
        {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": "Again"}},
        {"text": "As it is."},
    ]
    (tmp_path / "chats.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    picture = str(samples / "chart.png")
    found = read_samples([str(tmp_path / "some.txt"), picture, str(tmp_path / "chats.jsonl")])
    assert [sample.text for sample in found] == ["A few words.", None, None, None, "As it is."]
    assert found[1].messages[0].parts == (MediaRef("image", picture),)
    assert [message.role for message in found[2].messages] == ["user", "assistant"]
    assert found[3].messages[0].parts == (Text("Again"),)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere.txt", None, "there is no file"),
        ("empty.txt", b" \n", "is empty"),
        ("bytes.bin", b"\xff\x00\x01", "is not UTF-8 text"),
        ("chats.jsonl", b'{"messages": []}', "is empty"),
        ("chats.jsonl", b"\n{", "line 2 is not JSON"),
        ("chats.jsonl", b'{"prompt": "x"}', "line 1 has no messages"),
        ("chats.jsonl", b"[1]", "line 1 has no messages"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=said) as raised:
        read_samples([str(tmp_path / name)])
    assert raised.value.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        read_samples([str(tmp_path)])


class Letters:
    """A tokenizer with a token for each letter, whose prompts begin with a 0."""

    bos_token_id = 0

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [0] * add_special_tokens + [ord(letter) for letter in text]}


def prompts() -> Prompts:
    return Prompts(None, "a model", Letters(), MediaPolicy())  # type: ignore[arg-type]  # texts need no family


def test_texts_are_cut_into_rows_of_which_some_are_held_out() -> None:
    pieces = prompts().pieces([Sample("a", "x" * 20_000), Sample("b", "y" * 3000)], 10**6)
    assert pieces.text_tokens == 23_000
    assert pieces.used == 44 * 512
    assert pieces.apart
    held = [row for piece in pieces.held_out for row in piece.rows]
    used = [row for piece in pieces.calibration for row in piece.rows]
    assert [len(held), len(used)] == [4, 40]
    assert max(piece.tokens for piece in pieces.calibration) == 2048
    inputs, _ = prompts().inputs(pieces.calibration[0])
    assert inputs["input_ids"].shape == (4, 513)
    assert inputs["input_ids"][:, 0].tolist() == [0] * 4


def test_long_texts_are_spread_over() -> None:
    text = "".join(letter * 512 for letter in "abcdefghijklmnopqrst")
    pieces = prompts().pieces([Sample("a", text)], 4 * 512)
    assert pieces.used == 4 * 512
    rows = [row for piece in (*pieces.calibration, *pieces.held_out) for row in piece.rows]
    assert sorted(chr(row[0]) for row in rows) == ["a", "f", "k", "p"]


def test_a_short_text_is_halved() -> None:
    pieces = prompts().pieces([Sample("a", "x" * 60)], 10**6)
    assert [piece.tokens for piece in pieces.calibration] == [30]
    assert [piece.tokens for piece in pieces.held_out] == [30]


def test_too_little_text_is_refused() -> None:
    with pytest.raises(OptionError, match="too little text"):
        prompts().pieces([Sample("a", "x")], 10**6)


def test_rows_that_are_not_whole_are_left_out() -> None:
    assert list(cut([1, 2, 3, 4, 5], 2)) == [(1, 2), (3, 4)]
    assert [piece.tokens for piece in batched([Piece(rows=((1, 2),))] * 3)] == [6]
