"""Texts of overlapping windows are joined without doubled or lost words."""

import pytest

from mistralrs_cli.speech.stitch import join, stitch


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("we met on a sunny", "on a sunny day", "we met on a sunny day"),
        ("We met, on a Sunny.", "on a sunny day", "We met, on a Sunny. day"),
        ("the cat sat on the ma", "sat on the mat and slept", "the cat sat on the mat and slept"),
        ("he said that it was", "hat it was raining", "he said that it was raining"),
        ("one two three", "three four", "one two three four"),
        ("one two three", "four five", "one two three four five"),
        ("the end", "the beginning", "the end the beginning"),
        ("yes", "yes", "yes"),
        ("", "hello", "hello"),
        ("hello", "", "hello"),
        ("今日は天気が", "天気がいいです", "今日は天気がいいです"),
        ("we saw the old man by the sea", "the cold man by the sea again", "we saw the old man by the sea again"),
        ("a b c d e f", "x y z w c d e f g", "a b c d e f x y z w c d e f g"),
    ],
)
def test_what_both_heard_is_written_once(before: str, after: str, expected: str) -> None:
    assert join(list(stitch(before, after))) == expected


def test_every_cut_of_a_sentence_joins_to_it() -> None:
    text = "it was the best of times it was the worst of times it was the age of wisdom"
    words = text.split(" ")
    for cut in range(5, len(words)):
        for shared in range(2, 5):
            first, second = " ".join(words[:cut]), " ".join(words[max(0, cut - shared) :])
            assert join(list(stitch(first, second))) == text


def test_texts_are_spaced_as_their_script_is() -> None:
    assert join([" one ", "", "two"]) == "one two"
    assert join(["今日は。", "明日"]) == "今日は。明日"
    assert join(["안녕", "세계"]) == "안녕 세계"
    assert join(["Go", "東京"]) == "Go 東京"
