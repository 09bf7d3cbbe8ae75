"""Thoughts are told from the answer by their tokens, wherever they begin."""

from collections.abc import Sequence

import pytest

from mistralrs_cli.engine.output_parser import OutputParser, ThinkingTokens
from mistralrs_cli.events import Event, ReasoningDelta, TextDelta

BEGIN, END = 1, 2


def from_bytes(ids: Sequence[int]) -> str:
    return bytes(token for token in ids if token > END).decode("utf-8", errors="replace")


def tokens(text: str) -> list[int]:
    """``[`` and ``]`` are the thinking tokens."""
    return [{"[": BEGIN, "]": END}.get(letter, ord(letter)) for letter in text]


def read(text: str, *, prompt: str = "", heading: str = "", stop: Sequence[str] = ()) -> tuple[str, str]:
    transcript = OutputParser(from_bytes, stop, ThinkingTokens(BEGIN, END, heading), tokens(prompt))
    events: list[Event] = []
    for token in tokens(text):
        events += transcript.push(token)
        if transcript.stopped:
            break
    events += transcript.flush()
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thought, "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("plain", "", "plain"),
        ("[hm]yes", "hm", "yes"),
        ("[hm]\n\nyes\n\nno", "hm", "yes\n\nno"),
        ("a[b]c[d]e", "bd", "ace"),
        ("[cut off", "cut off", ""),
        ("[]yes", "", "yes"),
        ("odd]end", "", "oddend"),
    ],
)
def test_thoughts_and_words(text: str, thought: str, said: str) -> None:
    assert read(text) == (thought, said)


def test_a_prompt_may_open_the_thought_for_the_model() -> None:
    assert read("hm]yes", prompt="user: hi model: [") == ("hm", "yes")
    assert read("yes", prompt="[old thought] model: []") == ("", "yes")
    assert read("yes", prompt="what does [ mean? model: ") == ("", "yes")


def test_the_heading_of_a_thought_is_dropped_once() -> None:
    assert read("[thought\nthought one]yes", heading="thought\n") == ("thought one", "yes")
    assert read("[other]yes", heading="thought\n") == ("other", "yes")


@pytest.mark.parametrize("thought", ["the other", "th", "thought", "though it is"])
def test_a_thought_that_only_begins_like_the_heading_is_whole(thought: str) -> None:
    assert read(f"[{thought}]yes", heading="thought\n") == (thought, "yes")
    assert read(f"[{thought}", heading="thought\n") == (thought, "")


def test_a_stop_string_inside_a_thought_does_not_stop() -> None:
    assert read("[STOP it]go STOP on", stop=["STOP"]) == ("STOP it", "go ")


def test_without_thinking_tokens_everything_is_said() -> None:
    transcript = OutputParser(from_bytes)
    assert [event for token in b"ab" for event in transcript.push(token)] == [TextDelta("a"), TextDelta("b")]
