"""``mistralrs run`` through ``main``, with a model that answers what it is told to."""

import json
import os
import sys
from pathlib import Path

import pytest

from mistralrs_cli.cli import prompt
from mistralrs_cli.cli.app import main
from mistralrs_cli.messages import Text, TextFile
from mistralrs_cli.options import DEFAULT_INSTRUCTION, Grammar
from mistralrs_cli.terminal.console import Console
from tests.fake_model import FakeModels
from tests.media.pdf import document
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]


def test_the_answer_alone_is_on_stdout(models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "-i", "What?"], models) == 0
    assert capsys.readouterr() == ("It is red.\n", "")
    assert tuple(models.calls) == models.whole


def test_an_answer_that_ends_its_line_gets_no_second_end(models: FakeModels, capsys: Captured) -> None:
    models.answers = [["one\n", "two\n"]]
    main(["run", "-i", "What?"], models)
    assert capsys.readouterr().out == "one\ntwo\n"


def test_order_across_the_three_flags(models: FakeModels, samples: Path) -> None:
    files = {name: str(samples / name) for name in ("beeps.wav", "red_circle.png", "clip.gif", "shapes.png")}
    line = ["--audio", files["beeps.wav"], "--image", files["red_circle.png"], files["shapes.png"]]
    assert main(["run", *line, "--video", files["clip.gif"], "vision", "-i", "What?"], models) == 0
    assert [(kind, Path(source).name) for kind, source in models.media] == [
        ("audio", "beeps.wav"),
        ("image", "red_circle.png"),
        ("image", "shapes.png"),
        ("video", "clip.gif"),
    ]


@pytest.mark.parametrize("kind", ["auto", "text", "multimodal", "vision"])
def test_the_kind_word_stands_anywhere(kind: str, models: FakeModels) -> None:
    assert main(["run", kind, "-m", "M", "-i", "x"], models) == 0
    assert main(["run", "-m", "M", kind, "-i", "x"], models) == 0
    assert main(["run", "-m", "M", "-i", "x", kind], models) == 0


def test_options_reach_the_model(models: FakeModels, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    line = (
        "run -m M -i x -s be-brief --max-tokens 9 --temperature 0.5 --top-p 0.9 --top-k 3 --min-p 0.1 "
        "--repetition-penalty 1.1 --frequency-penalty -0.5 --presence-penalty 0.2 --stop A --stop B --seed 7 "
        "--thinking=false --quant 4 --dtype bf16 --cpu --threads 2 --max-seqs 5 --prefix-cache-n 3 --kv-cache-type q8 "
        "--revision main --hf-cache dir "
        f"--token-source none --trust-remote-code -t tok.json -c c.json -j j.jinja --json-schema {schema}"
    )
    assert main(line.split(), models) == 0
    sampling, options = models.sampling, models.options
    assert sampling is not None
    assert options is not None
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (9, 0.5, 0.9, 3)
    assert (sampling.min_p, sampling.repetition_penalty) == (0.1, 1.1)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (-0.5, 0.2)
    assert (sampling.stop, sampling.seed, sampling.thinking) == (("A", "B"), 7, False)
    assert sampling.grammar == Grammar("json_schema", '{"type": "object"}')
    assert (options.model_id, options.quant, options.dtype, options.cpu) == ("M", "4", "bf16", True)
    assert (options.prefix_cache_n, options.kv_cache_type) == (3, "q8")
    assert (options.threads, options.max_seqs, options.revision, options.hf_cache) == (2, 5, "main", "dir")
    assert (options.token_source, options.trust_remote_code, options.tokenizer) == ("none", True, "tok.json")
    assert (options.chat_template, options.jinja_explicit) == ("c.json", "j.jinja")
    assert [message.role for message in models.messages] == ["system", "user"]
    assert models.messages[0].text == "be-brief"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--reasoning-effort off", {"enable_thinking": False}),
        ("--reasoning-effort high", {"enable_thinking": True, "reasoning_effort": "high"}),
        ("--thinking --reasoning-effort low", {"enable_thinking": True, "reasoning_effort": "low"}),
        ("--thinking", {"enable_thinking": True}),
    ],
)
def test_how_long_to_think_is_told_to_the_template(line: str, told: dict[str, object], models: FakeModels) -> None:
    assert main(["run", *line.split(), "-i", "x"], models) == 0
    assert models.sampling.template_inputs == told


def test_media_options_reach_the_media(models: FakeModels, samples: Path) -> None:
    line = "--max-edge 100 --video-fps 2 --video-start 0.2 --video-end 1"
    assert main(["run", *line.split(), "--image", str(samples / "shapes.png"), "-i", "x"], models) == 0
    options = models.messages[0].media[0].options
    assert (options.max_edge, options.fps, options.start, options.end) == (100, 2.0, 0.2, 1.0)


def test_unset_options_stay_unset(models: FakeModels) -> None:
    main(["run", "-i", "x"], models)
    assert (models.sampling.temperature, models.sampling.thinking, models.sampling.stop) == (None, None, ())


def test_options_before_the_command(models: FakeModels, capsys: Captured) -> None:
    assert main(["--seed", "3", "-v", "run", "-i", "x"], models) == 0
    assert models.sampling.seed == 3
    assert "first token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("piped", "line", "asked"),
    [
        (b"", ["-i", "What?"], "What?"),
        (b"notes\n", ["-i", "Sum up."], "notes\nSum up."),
        (b"notes", ["-i", "Sum up."], "notes\nSum up."),
        (b"What?\n", [], "What?"),
        (b"What?\r\n", ["-i", "-"], "What?"),
        (b"  two\n\nlines  \n", ["-i", "-"], "  two\n\nlines  "),
        (b"\n", ["-i", "What?"], "What?"),
        (b"caf\xc3\xa9", ["-i", "-"], "café"),
        (b"\xef\xbb\xbfWhat?", [], "What?"),
        (b"", ["-i", " <image> [b]x[/b] "], " <image> [b]x[/b] "),
    ],
)
def test_words_come_from_i_and_stdin(
    piped: bytes, line: list[str], asked: str, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(piped))
    assert main(["run", *line], models) == 0
    assert models.text == asked


@pytest.mark.parametrize("option", ["-i", "--input", "-s", "--stop", "--regex"])
def test_text_that_is_not_utf8_is_said(option: str, models: FakeModels, capsys: Captured) -> None:
    assert (
        main(["run", "-m", "M", *([] if option in ("-i", "--input") else ["-i", "x"]), option, "caf\udce9"], models)
        == 2
    )
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {'-i' if option == '--input' else option} is not UTF-8 text."
    assert "iconv" in hint
    assert models.calls == []


def test_a_medium_from_stdin(models: FakeModels, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin((samples / "shapes.png").read_bytes()))
    assert main(["run", "--image", "-", "-i", "What?"], models) == 0
    assert (models.media, models.text) == ([("image", "-")], "What?")


def test_media_with_an_empty_question_get_the_stated_one(models: FakeModels, samples: Path, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "--image", str(samples / "shapes.png"), "-i", ""], models) == 0
    assert models.text == ""
    assert DEFAULT_INSTRUCTION in capsys.readouterr().err


def test_no_model_is_the_demo_and_said_in_one_line(models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-i", "x"], models) == 0
    assert models.options is not None
    assert models.options.model_id == "demo"
    (line,) = capsys.readouterr().err.splitlines()
    assert "demo model" in line
    main(["run", "-m", "demo", "-i", "x"], models)
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing(models: FakeModels, capsys: Captured) -> None:
    models.end(reason="length")
    assert main(["run", "-v", "--quiet", "-i", "x"], models) == 0
    assert capsys.readouterr() == ("It is red.\n", "")


def test_a_cut_answer_is_said(models: FakeModels, capsys: Captured) -> None:
    models.end(reason="length")
    assert main(["run", "-m", "M", "-i", "x"], models) == 0
    assert "cut after 21 tokens" in capsys.readouterr().err


def test_stats_with_v_and_not_with_no_stats(models: FakeModels, capsys: Captured) -> None:
    main(["run", "-v", "-m", "M", "-i", "x"], models)
    error = capsys.readouterr().err
    assert "first token 0.50 s · prompt 40 tokens (10 image), 100/s · answer 21 tokens, 20.0/s" in error
    main(["run", "-v", "--no-stats", "-m", "M", "-i", "x"], models)
    assert "first token" not in capsys.readouterr().err


def test_what_libraries_print_goes_to_stderr_with_v(models: FakeModels, capsys: Captured) -> None:
    main(["run", "-v", "-m", "M", "-i", "x"], models)
    captured = capsys.readouterr()
    assert captured.out == "It is red.\n"
    assert "a library chats on stdout" in captured.err


def test_json_is_one_object(models: FakeModels, samples: Path, capsys: Captured) -> None:
    path = str(samples / "shapes.png")
    models.answers = [["Größe \ud83d"]]
    assert main(["run", "-m", "M", "--image", path, "--json", "-i", "x"], models) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["answer"] == "Größe ?"
    assert answer["finish_reason"] == "stop"
    assert answer["model"] == "M"
    assert answer["usage"]["total_tokens"] == 61
    timings = answer["timings"]
    assert 0.5 < timings.pop("first_token_seconds") == pytest.approx(timings.pop("total_seconds") - 1, abs=2e-4)
    assert timings == {
        "prefill_seconds": 0.4,
        "prompt_tokens_per_second": 100.0,
        "decode_tokens_per_second": 20.0,
    }
    assert answer["media"] == [{"kind": "image", "source": path, "summary": "as it is", "tokens": 10}]


def test_dry_run_reads_no_weights(models: FakeModels, samples: Path, capsys: Captured) -> None:
    path = str(samples / "shapes.png")
    assert main(["run", "-m", "M", "--image", path, "--dry-run", "-i", "x"], models) == 0
    assert models.calls == ["open", "processor"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "M (Fake 1)"
    assert lines[2].split() == ["image", *path.split(), "as", "it", "is", "10"]
    assert lines[-2:] == [
        "prompt: 17 tokens, 7 of them words and template",
        "context: 1,000 tokens, so it fits",
    ]
    main(["run", "-m", "M", "--image", path, "--dry-run", "--json", "-i", "x"], models)
    report = json.loads(capsys.readouterr().out)
    assert (report["prompt_tokens"], report["context_length"], report["media"][0]["tokens"]) == (17, 1000, 10)


def test_inspect_knows_kinds_by_content(models: FakeModels, samples: Path, capsys: Captured) -> None:
    files = [str(samples / name) for name in ("beeps.wav", "shapes.png", "clip.mp4")]
    assert main(["inspect", *files, "-m", "M", "--json"], models) == 0
    report = json.loads(capsys.readouterr().out)
    assert [medium["kind"] for medium in report["media"]] == ["audio", "image", "video"]
    assert models.calls == ["open", "processor"]


def test_grammar_files(models: FakeModels, tmp_path: Path) -> None:
    lark, guidance = tmp_path / "a.lark", tmp_path / "b.json"
    lark.write_text('start: "a"')
    guidance.write_text('{"grammars": [{"json_schema": {}}]}')
    for option, value, expected in [
        ("--grammar", str(lark), Grammar("lark", 'start: "a"')),
        ("--grammar", str(guidance), Grammar("llguidance", '{"grammars": [{"json_schema": {}}]}')),
        ("--regex", "a+", Grammar("regex", "a+")),
    ]:
        assert main(["run", "-i", "x", option, value], models) == 0
        assert models.sampling.grammar == expected


def test_a_silent_pipe_is_said_to_be_waited_for(
    models: FakeModels, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(prompt, "PATIENCE", 0.05)
    with os.fdopen(reader, encoding="utf-8") as stdin, os.fdopen(writer, "wb") as late:
        monkeypatch.setattr(sys, "stdin", stdin)

        def note_and_send(console: Console, text: str) -> None:
            note(console, text)
            if not late.closed:
                late.write(b"late")
                late.close()

        note = Console.note
        monkeypatch.setattr(Console, "note", note_and_send)
        assert main(["run", "-m", "M", "-i", "What?"], models) == 0
    assert models.text == "late\nWhat?"
    assert capsys.readouterr().err.splitlines() == [
        "note: waiting for text on stdin; add --no-stdin if none will come",
        "note: a line from stdin put before the question; --no-stdin leaves stdin alone, as in a loop",
    ]


def test_what_stdin_adds_to_a_question_is_said(
    models: FakeModels, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in ``while read -r file; do mistralrs run --image "$file" -i …; done``, where it is the rest of the list."""
    monkeypatch.setattr(sys, "stdin", Stdin(b"b.png\nc.png\n"))
    assert main(["run", "-m", "M", "-i", "What?"], models) == 0
    assert models.text == "b.png\nc.png\nWhat?"
    assert capsys.readouterr().err.startswith("note: 2 lines from stdin put before the question; --no-stdin ")
    stdin = Stdin(b"b.png\nc.png\n")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["run", "-m", "M", "--no-stdin", "-i", "What?"], models) == 0
    assert models.text == "What?"
    assert stdin.buffer.read() == b"b.png\nc.png\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("options", [[], ["-q"], ["--json"]])
@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        (["--regex", "[a-z]+"], "after 21 tokens, so it is not all that the regular expression asks for"),
        (["--json-schema", "schema.json"], "after 21 tokens, so it is not whole JSON"),
    ],
)
def test_a_constrained_answer_that_was_cut_is_5(
    constraint: list[str],
    said: str,
    options: list[str],
    models: FakeModels,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "schema.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    models.end(reason="length", incomplete=True)
    assert main(["run", "-m", "M", "-i", "x", *constraint, *options], models) == 5
    shown = capsys.readouterr()
    assert "It is red." in shown.out
    assert ('"incomplete": true' in shown.out) == ("--json" in options)
    assert shown.err.splitlines()[0] == f"error: The answer was cut {said}."
    assert "--max-tokens" in shown.err.splitlines()[1]
    models.end(incomplete=False)
    assert main(["run", "-m", "M", "-i", "x", *constraint, *options], models) == 0
    assert '"incomplete"' not in capsys.readouterr().out


def test_a_stop_string_may_end_an_expression_but_no_json(models: FakeModels, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "schema.json").write_text("{}")
    models.end(stop="e", incomplete=True)
    assert main(["run", "-m", "M", "-i", "x", "--regex", "cde", "--stop", "e"], models) == 0
    assert (
        main(["run", "-m", "M", "-i", "x", "--json-schema", str(tmp_path / "schema.json"), "--stop", "e"], models) == 5
    )
    assert "at the stop string 'e', so it is not whole JSON." in capsys.readouterr().err


def test_pages_and_texts_stand_where_they_were_given(models: FakeModels, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "doc.pdf").write_bytes(document(3))
    (tmp_path / "notes.txt").write_text("Buy\nmilk\n")
    text, picture, pages = (
        str(place) for place in (tmp_path / "notes.txt", samples / "shapes.png", tmp_path / "doc.pdf")
    )
    line = ["--image", picture, "--file", text, "--image", f"{pages}#page=2-3", "--pdf-text", "-i", "What?"]
    assert main(["run", *line], models) == 0
    (question,) = models.asked[-1]
    assert [getattr(part, "source", None) or part for part in question.parts] == [
        picture,
        text,
        *(f"{pages}#page={number}" for number in (2, 2, 3, 3)),
        Text("What?"),
    ]
    assert question.parts[1] == TextFile.fenced(text, "Buy\nmilk")
    assert question.parts[4] == TextFile.fenced(f"{pages}#page=3", "page 3")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gone.txt", "error: No such file: gone.txt"),
        ("doc.pdf", "error: doc.pdf is no text but an image (PDF).\nhint: Give it as a medium: --image doc.pdf"),
        ("a.bin", "error: a.bin is not a text in UTF-8, UTF-16 or Windows-1252."),
        ("-", "error: --file - is not needed.\nhint: Text piped on stdin goes before the question by itself."),
    ],
)
def test_files_that_are_no_texts(
    given: str, said: str, models: FakeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("doc.pdf").write_bytes(document(1))
    Path("a.bin").write_bytes(b"\x00\x01\x02\xff\xfe")
    assert main(["run", "--file", given, "-i", "What?"], models) != 0
    assert said in capsys.readouterr().err
    assert models.calls == []
