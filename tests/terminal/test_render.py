"""Events on the screen."""

import re
from collections.abc import Iterator

import pytest

from mistralrs_cli.errors import GenerationError
from mistralrs_cli.events import Done, Event, MediaReport, ReasoningDelta, Reply, Started, TextDelta, Timing, Usage
from mistralrs_cli.terminal.render import show_end, stats_line, stream_answer
from mistralrs_cli.terminal.report import PromptReport, reply_object, show_prompt, shown
from mistralrs_cli.terminal.status import Status

from .streams import Stream, console_on


def test_each_delta_is_written_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    console = console_on(out, Stream(), monkeypatch)
    seen = []

    def events() -> Iterator[Event]:
        yield Started(3)
        for word in ("a", "", "b"):
            yield TextDelta(word)
            seen.append(out.getvalue())
        yield Done("stop", Usage(), Timing())

    done = stream_answer(events(), console, console.status("Reading"))
    assert (seen, out.getvalue(), done.reason) == (["a", "a", "ab"], "ab\n", "stop")


def test_an_empty_answer_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    console = console_on(out, Stream(), monkeypatch)
    events: list[Event] = [Started(3), Done("stop", Usage(), Timing())]
    stream_answer(iter(events), console, console.status("Reading"))
    assert out.getvalue() == ""


def test_a_broken_answer_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    console = console_on(out, Stream(), monkeypatch)

    def events() -> Iterator[Event]:
        yield TextDelta("a")
        raise GenerationError("It broke.")

    with pytest.raises(GenerationError):
        stream_answer(events(), console, console.status("Reading"))
    assert out.getvalue() == "a\n"


@pytest.mark.parametrize(
    ("terminal", "verbose", "shown"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_thoughts_are_no_part_of_the_answer(
    terminal: bool, verbose: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out, err = Stream(), Stream(terminal=terminal)
    console = console_on(out, err, monkeypatch)
    console.verbose = verbose
    events: list[Event] = [
        ReasoningDelta("It may "),
        ReasoningDelta("be red."),
        TextDelta("Red."),
        Done("stop", Usage(), Timing()),
    ]
    stream_answer(iter(events), console, Status(None, "", None, animated=False))
    assert out.getvalue() == "Red.\n"
    assert ("It may be red.\n" in plain(err)) == shown
    assert reply_object(Reply("Red.", "stop", Usage(), Timing(), (), "Hm."), "M")["reasoning"] == "Hm."


def plain(stream: Stream) -> str:
    """What was written, without escape sequences."""
    return re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())


@pytest.mark.parametrize(
    ("usage", "timing", "width", "line"),
    [
        (
            Usage(312, 57),
            Timing(0.5, 2.3, 0.42),
            None,
            "first token 0.50 s · prompt 312 tokens, 743/s · answer 57 tokens, 31.1/s",
        ),
        (
            Usage(4096, 1, 1000, 64, 0, 2048),
            Timing(2.0, 2.0, 1.0),
            None,
            "first token 2.00 s · prompt 4,096 tokens (64 image, 2,048 video, 1,000 reused), 3,096/s · answer 1 token",
        ),
        (Usage(), Timing(), None, "first token 0.00 s · prompt 0 tokens · answer 0 tokens"),
        (
            Usage(2233, 57, 2215, 0, 0, 2016),
            Timing(0.5, 2.3, 0.09),
            80,
            "first token 0.50 s · prompt 2,233 tokens, 200/s · answer 57 tokens, 31.1/s",
        ),
        (
            Usage(78, 5, 77, 63),
            Timing(0.15, 0.3, 0.01),
            80,
            "first token 0.15 s · prompt 78 (63 image, 77 reused), 100/s · answer 5, 26.7/s",
        ),
        (Usage(2233, 57, 2215), Timing(0.5, 2.3, 0.09), 40, "first token 0.50 s · answer 57, 31.1/s"),
        (Usage(2233, 57, 2215), Timing(0.5, 2.3, 0.09), 20, "first token 0.50 s"),
    ],
)
def test_numbers(usage: Usage, timing: Timing, width: int | None, line: str) -> None:
    assert stats_line(usage, timing, width) == line


def test_a_rate_counts_what_was_read_and_the_first_token_what_was_waited_for() -> None:
    timing = Timing(0.1, 0.3, 0.09)
    assert timing.prompt_rate(Usage(2233, 57, 2215)) == pytest.approx(200)
    later = timing.after(0.8)
    assert [later.first_token, later.total] == pytest.approx([0.9, 1.1])
    assert later.decode_rate(Usage(10, 5)) == pytest.approx(timing.decode_rate(Usage(10, 5)))
    assert Timing().after(0.8) == Timing()  # an answer that never began has no first token


def test_a_canceled_answer_is_not_called_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream()
    show_end(Done("canceled", Usage(), Timing()), console_on(Stream(), err, monkeypatch), stats=False)
    assert err.getvalue() == ""


def test_tables_align_wide_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    media = (
        MediaReport("image", "写真.jpg", "4×4 PNG", 4),
        MediaReport("video", "a.mp4", "2 of 4 frames, 1.0 s", 2048),
    )
    report = PromptReport("M", "Fake 1", 2000, 2060, media)
    show_prompt(report, console_on(out, Stream(), monkeypatch))
    assert out.getvalue().splitlines() == [
        "M (Fake 1)",
        "kind   source    what it is            tokens",
        "image  写真.jpg  4×4 PNG                    4",
        "video  a.mp4     2 of 4 frames, 1.0 s   2,048",
        "prompt: 2,060 tokens, 8 of them words and template",
        "context: 2,000 tokens, so it does not fit",
    ]


def test_inline_data_is_cut_and_paths_are_not() -> None:
    path = "/a" * 300 + ".png"
    data = "data:image/png;base64," + "A" * 5000
    reply = Reply(
        "x", "stop", Usage(), Timing(), (MediaReport("image", path, "", 0), MediaReport("image", data, "", 0))
    )
    sources = [medium["source"] for medium in reply_object(reply, "M")["media"]]
    assert sources == [path, "data:image/png;base64,AAAAAAAAAAAAAAAAAA… (5,022 characters)"]
    assert shown("-") == "-"
    assert shown("iVBORw0KGgo" + "A" * 3000) == "iVBORw0KGgo" + "A" * 29 + "… (3,011 characters)"
