"""What goes where, and what terminals are spared."""

import pytest

from mistralrs_cli.terminal.console import one_line

from .streams import Stream, console_on


def test_answers_go_out_and_the_rest_goes_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(), Stream()
    console = console_on(out, err, monkeypatch)
    console.answer("yes")
    console.note("by the way")
    console.stats("fast")
    console.error("it broke", "mend it")
    assert out.getvalue() == "yes"
    assert err.getvalue().splitlines() == ["note: by the way", "fast", "error: it broke", "hint: mend it"]


def test_quiet_keeps_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(terminal=True)
    console = console_on(Stream(), err, monkeypatch)
    console.quiet = True
    console.note("by the way")
    console.stats("fast")
    with console.status("working"):
        assert err.getvalue() == ""
    console.error("it broke", None)
    assert "it broke" in err.getvalue()


def test_closed_streams_are_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_on(None, None, monkeypatch)
    console.answer("yes")
    console.error("it broke", "mend it")
    with console.answer_only(), console.status("working"):
        console.answer("yes")


@pytest.mark.parametrize(("encoding", "written"), [("utf-8", "Größe ?"), ("latin-1", "Größe ?"), ("ascii", "Gr??e ?")])
def test_letters_an_encoding_lacks_become_question_marks(
    encoding: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Stream(encoding=encoding)
    console_on(out, Stream(), monkeypatch).answer("Größe \udcff")
    assert out.getvalue() == written


def test_a_terminal_gets_no_control_codes_but_a_pipe_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\x1b[2Jb\tc\nd\x07\x9b"
    terminal, pipe = Stream(terminal=True), Stream()
    console_on(terminal, Stream(), monkeypatch).answer(text)
    console_on(pipe, Stream(), monkeypatch).answer(text)
    assert terminal.getvalue() == "a[2Jb\tc\nd"
    assert pipe.getvalue() == text


def test_messages_are_one_line_whatever_is_in_them() -> None:
    assert one_line("a\nb\x1b[31m\u2028\udcffß") == "a\\nb\\x1b[31m\\u2028?ß"


def test_messages_are_not_markup_and_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream()
    message = f"no [bold]file[/bold] :smile: {'long ' * 40}end"
    console_on(Stream(), err, monkeypatch).error(message, None)
    assert err.getvalue() == f"error: {message}\n"


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({"TERM": "xterm-256color"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_color_is_for_terminals_that_want_it(
    environment: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    err = Stream(terminal=True)
    console_on(Stream(), err, monkeypatch).error("it broke", None)
    assert ("\x1b[1;31m" in err.getvalue()) == colored


def test_print_is_kept_off_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(), Stream()
    console = console_on(out, err, monkeypatch)
    with console.answer_only():
        print("chatter")
        console.answer("yes")
    console.verbose = True
    with console.answer_only():
        print("chatter")
    print("after")
    assert (out.getvalue(), err.getvalue()) == ("yesafter\n", "chatter\n")


def test_a_live_line_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for animated, last in [(True, "\x1b[2K"), (False, "\r\x1b[K")]:
        err = Stream(terminal=True)
        console = console_on(Stream(), err, monkeypatch)
        with console.status("Reading media", 3, animated=animated) as status:
            status.advance()
            status.stop()
            status.stop()
        assert "Reading media" in err.getvalue()
        assert err.getvalue().endswith(last)


def test_no_live_line_in_a_pipe_or_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for terminal in (True, False):
        err = Stream(terminal=terminal)
        with console_on(Stream(), err, monkeypatch).status("Reading media", 3) as status:
            status.advance()
        assert err.getvalue() == ""
