"""Text comes out whole: characters are never split, stop strings never shown."""

import random
from collections.abc import Sequence

import pytest

from mistralrs_cli.engine.detokenizer import Detokenizer, longest_partial


def from_bytes(ids: Sequence[int]) -> str:
    """A tokenizer with one token a byte."""
    return bytes(ids).decode("utf-8", errors="replace")


def pieces(text: bytes, stop: Sequence[str] = ()) -> tuple[list[str], Detokenizer]:
    decoder = Detokenizer(from_bytes, stop)
    out = []
    for byte in text:
        out.append(decoder.push(byte))
        if decoder.stopped:
            break
    out.append(decoder.flush())
    return out, decoder


@pytest.mark.parametrize("text", ["plain", "Zoë", "日本語", "🦆 quacks", "e\u0301", ""])
def test_every_character_arrives_whole(text: str) -> None:
    out, _ = pieces(text.encode())
    assert "".join(out) == text
    assert not any("\ufffd" in piece for piece in out)


def test_characters_that_straddle_tokens_arrive_whole() -> None:
    """Byte-level vocabularies hold tokens that end one character and begin the next."""
    text = "日本語日本語の🦆本".encode()
    for size in (2, 4, 5):
        tokens = [text[start : start + size] for start in range(0, len(text), size)]

        def decode(ids: Sequence[int], tokens: list[bytes] = tokens) -> str:
            return b"".join(tokens[i] for i in ids).decode(errors="replace")

        decoder = Detokenizer(decode)
        out = [decoder.push(index) for index in range(len(tokens))] + [decoder.flush()]
        assert "".join(out) == text.decode()


def test_a_broken_character_is_shown_and_does_not_hold_up_the_rest() -> None:
    out, _ = pieces(b"a\xff\xfe\xfd\xfcb")
    assert "".join(out).startswith("a\ufffd")
    assert "".join(out).endswith("b")


def test_a_character_after_broken_ones_is_not_lost() -> None:
    """Four broken bytes of which the last one begins a whole character."""
    for text in (b"\xfa\xfb\xfc\xce\xa0", b"\xfa\xfb\xfc\xf0\x9f\xa6\x86", b"\xf0\x9f\x98\xce\xa0b"):
        out, _ = pieces(text)
        assert "".join(out) == from_bytes(text)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_bytes_come_what_is_shown_piece_by_piece_is_their_text(seed: int) -> None:
    rng = random.Random(seed)
    parts = [*"aé語🦆".encode(), *b"ab", 0xC3, 0xCE, 0xE2, 0xF0, 0x9F, 0x82, 0xFF]
    text = bytes(rng.choice(parts) for _ in range(60)) + "é🦆".encode()
    assert "".join(pieces(text)[0]) == from_bytes(text)


def test_nothing_but_broken_bytes_does_not_fill_the_window() -> None:
    sizes = []

    def decode(ids: Sequence[int]) -> str:
        sizes.append(len(ids))
        return from_bytes(ids)

    decoder = Detokenizer(decode)
    out = [decoder.push(0xFF) for _ in range(400)] + [decoder.flush()]
    assert "".join(out) == "\ufffd" * 400
    assert max(sizes) <= 130


def test_an_unfinished_character_at_the_end_is_flushed() -> None:
    out, _ = pieces("ö".encode()[:1])
    assert "".join(out) == "\ufffd"


@pytest.mark.parametrize(
    ("text", "stop", "shown"),
    [
        ("one\nEND two", ["END"], "one\n"),
        ("EN and ENDs", ["END"], "EN and "),
        ("aaab", ["aab"], "a"),
        ("no match EN", ["END"], "no match EN"),
        ("first second", ["second", "first"], ""),
        ("x<a>y", ["<a>", "<ab>"], "x"),
    ],
)
def test_stop_strings_cut_and_partial_ones_wait(text: str, stop: list[str], shown: str) -> None:
    out, decoder = pieces(text.encode(), stop)
    assert "".join(out) == shown
    assert decoder.stopped == any(string in text for string in stop)


def test_nothing_of_a_stop_string_is_ever_shown_early() -> None:
    out, _ = pieces(b"say STO", ["STOP"])
    assert out[:-1] == ["s", "a", "y", " ", "", "", ""]
    assert out[-1] == "STO"


@pytest.mark.parametrize(("text", "length"), [("abc", 0), ("abS", 1), ("ST", 2), ("STO", 3), ("STOP", 0), ("", 0)])
def test_longest_partial(text: str, length: int) -> None:
    assert longest_partial(text, ["STOP"]) == length


def test_a_text_that_is_gone_on_with_keeps_its_blank() -> None:
    """Tokenizers of SentencePiece's kind leave out the blank of the very first word."""
    words = ["\u2581I", "\u2581am", "\u2581here"]

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[token] for token in ids).replace("\u2581", " ").removeprefix(" ")

    assert Detokenizer(decode).push(2) == "here"
    going_on = Detokenizer(decode, after=[0, 1])
    assert going_on.push(2) + going_on.flush() == " here"
