"""Every option is checked before any weights are opened, and ends with the code of its kind of mistake."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from mistralrs_cli import loading
from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import app
from tests.terminal.streams import Stdin

Captured = pytest.CaptureFixture[str]
COMMANDS = getattr(typer.main.get_command(app), "commands")  # noqa: B009

WRONG = {
    "--draw": [("out.xyz", 2), ("out.png", 2)],
    "--image": [("nowhere.png", 4), ("notes.txt", 4), ("ftp://host/a.png", 4), ("data:,", 4)],
    "--audio": [("nowhere.wav", 4), ("notes.txt", 4)],
    "--video": [("nowhere.mp4", 4), ("notes.txt", 4)],
    "--file": [("nowhere.txt", 4), (".", 4), ("-", 2)],
    "--pdf-dpi": [("x", 2), ("19", 2), ("601", 2)],
    "--preset": [("nowhere", 2), ("''", 2)],
    "--keep": [("x", 2), ("-1", 2)],
    "--server": [("http://127.0.0.1:9", 5), ("ftp://host", 2)],
    "--resume": [("nowhere", 2)],
    "--model-id": [("nowhere", 3), ("./nowhere", 3), ("notes.txt", 3), ("a/b/c", 3), ("''", 2)],
    "--arch": [("Gemma5", 2), ("''", 2), ("Qwen3VL", 3), ("bert", 3)],
    "--revision": [("nowhere", 2), ("''", 2)],
    "--hf-cache": [("notes.txt", 2)],
    "--token-source": [("foo", 2), ("env:NOWHERE", 2), ("path:nowhere", 2), ("literal:", 2), ("env:", 2), ("''", 2)],
    "--tokenizer": [("nowhere.json", 2), ("notes.txt", 2), (".", 2)],
    "--tok-model-id": [("nowhere", 2), ("a/b/c", 2)],
    "--chat-template": [("nowhere.json", 2), ("broken.jinja", 2), ("notes.json", 2), (".", 2)],
    "--jinja-explicit": [("nowhere.jinja", 2), ("broken.jinja", 2), ("latin.jinja", 2)],
    "--matformer-config-path": [("nowhere.csv", 2), ("notes.txt", 2), ("notes.json", 2)],
    "--matformer-slice-name": [("Nothing", 2)],
    "--max-tokens": [("0", 2), ("-1", 2), ("many", 2), ("1.5", 2), ("1e9", 2)],
    "--temperature": [("-1", 2), ("hot", 2), ("nan", 2), ("inf", 2), ("101", 2)],
    "--top-p": [("1.5", 2), ("-1", 2), ("x", 2)],
    "--top-k": [("-1", 2), ("x", 2), ("99999999999", 2)],
    "--min-p": [("2", 2), ("x", 2)],
    "--repetition-penalty": [("0", 2), ("-1", 2), ("x", 2), ("1e9", 2)],
    "--frequency-penalty": [("1e9", 2), ("x", 2), ("nan", 2)],
    "--presence-penalty": [("-101", 2), ("x", 2)],
    "--stop": [("''", 2)],
    "--seed": [("x", 2), ("1.5", 2), ("99999999999999999999", 2)],
    "--thinking": [("=perhaps", 2), ("=true", 2)],
    "--reasoning-effort": [("much", 2), ("high", 2)],
    "--json-schema": [("nowhere.json", 2), ("notes.json", 2), ("latin.jinja", 2), (".", 2), ("wrong_schema.json", 2)],
    "--regex": [("'('", 2), ("'[z-a]'", 2)],
    "--grammar": [("nowhere.lark", 2), ("notes.txt", 2), (".", 2)],
    "--max-edge": [("0", 2), ("x", 2)],
    "--video-frames": [("0", 2), ("x", 2)],
    "--video-fps": [("0", 2), ("-1", 2), ("x", 2), ("inf", 2)],
    "--video-start": [("-1", 2), ("x", 2), ("inf", 2)],
    "--video-end": [("0", 2), ("-1", 2), ("x", 2)],
    "--quant": [("9", 2), ("q9k", 2), ("''", 2), ("four", 2)],
    "--isq": [("9", 2), ("bf16", 2)],
    "--isq-organization": [("other", 2), ("moqe", 2)],
    "--dtype": [("bf17", 2), ("''", 2)],
    "--threads": [("0", 2), ("x", 2)],
    "--device-layers": [("x", 2), ("0:x", 2), ("0:1;0:2", 2), ("7:1", 2), ("cpu:99", 2), ("''", 2)],
    "--topology": [("nowhere.yaml", 2), ("notes.txt", 2), ("broken.yaml", 2), ("wrong_type.yaml", 2), (".", 2)],
    "--max-memory": [("x", 2), ("0:x", 2), ("10", 2), ("9:1GiB", 2)],
    "--max-seq-len": [("0", 2), ("x", 2)],
    "--max-batch-size": [("0", 2), ("x", 2)],
    "--max-num-images": [("0", 2), ("x", 2)],
    "--max-image-length": [("0", 2), ("x", 2)],
    "--max-seqs": [("0", 2), ("x", 2)],
    "--kv-cache-type": [("q9", 2), ("''", 2)],
    "--prefix-cache-n": [("-1", 2), ("x", 2)],
}
"""Values that cannot be, and the exit code of each."""

FREE = {"--input", "--system"}
"""Options that take any text."""

SWITCHES = {"--no-kv-cache": 2}
"""Options without a value that are refused."""

SERVER = {
    "--port": [("x", 2), ("65536", 2), ("-1", 2)],
    "--host": [("no.such.host.invalid", 2)],
    "--api-key": [("''", 2), ("'two words'", 2)],
    "--api-key-file": [("nowhere", 2), ("empty.txt", 2), (".", 2)],
    "--api-keys": [("nowhere", 2), ("notes.txt", 2), (".", 2)],
    "--allowed-media-path": [("nowhere", 2), ("notes.txt", 2)],
    "--allowed-media-domain": [("''", 2), ("https://example.com", 2)],
    "--cors-origin": [("example", 2), ("''", 2)],
    "--served-model-name": [("''", 2)],
    "--log-format": [("xml", 2)],
    "--max-body": [("0", 2), ("x", 2)],
    "--max-queue": [("-1", 2), ("x", 2)],
    "--max-batches": [("0", 2), ("x", 2)],
    "--max-batch-lines": [("0", 2), ("x", 2)],
    "--batch-disk": [("0", 2), ("x", 2)],
    "--no-batches --batch-folder": [(".", 2)],
    "--limit-images": [("-1", 2)],
    "--limit-audios": [("-1", 2)],
    "--limit-videos": [("-1", 2)],
    "--seed": [("x", 2), ("-1", 2)],
    "--grace": [("x", 2), ("-1", 2), ("nan", 2), ("inf", 2)],
    "--root-path": [("https://example.com/llm", 2), ("'two words'", 2)],
    "--uds": [("notes.txt", 2), ("nowhere/socket", 2), (".", 2), ("''", 2), ("x" * 200, 2)],
    "--ssl-certfile": [("nowhere.pem", 2), ("notes.txt", 2), (".", 2), ("''", 2)],
    "--ssl-keyfile": [("nowhere.pem", 2), ("''", 2)],
    "--disable-local-files --allowed-media-path": [(".", 2)],
    "--models": [("nowhere", 2), ("notes.txt", 2), (".", 2), ("''", 2)],
    "--keep-alive": [("soon", 2), ("10", 2), ("''", 2)],
    "--max-models-loaded": [("0", 2), ("x", 2)],
    "--replicas": [("0", 2), ("x", 2), ("''", 2)],
    "--replicas auto --min-replicas": [("0", 2), ("x", 2)],
    "--replicas auto --max-replicas": [("0", 2), ("x", 2)],
    "--replicas 2 --gpus-per-replica": [("-1", 2), ("x", 2)],
    "--ray-address": [("auto", 2)],
    "--load-timeout": [("0", 2), ("x", 2), ("nan", 2)],
    "--model-id": [("demo@bits=4", 2), ("demo@quant=4,isq=4", 2), ("demo -m demo", 2)],
}
BENCH = {name: [("0", 2), ("x", 2)] for name in ("--prompt-tokens", "--answer-tokens", "--requests", "--rounds")}
QUANTIZE = {
    "--isq": [("9", 2), ("auto", 2)],
    "--output": [("notes.txt", 2), ("notes.txt/x", 2), (".", 2)],
    "--calibrate": [("nowhere.txt", 2), ("empty.txt", 2), (".", 2), ("notes.txt nowhere.txt", 2), ("", 2)],
    "--calibration-tokens": [("0", 2), ("x", 2)],
}

PICTURE = shlex.quote(str(Path(__file__).parents[2] / "examples" / "media" / "red_circle.png"))
LINES = [
    *((f"run -i x {option}", value, code) for option, cases in WRONG.items() for value, code in cases),
    *((f"run -i x {option}", "", code) for option, code in SWITCHES.items()),
    *((f"serve -p 0 --cpu {option}", value, code) for option, cases in SERVER.items() for value, code in cases),
    *((f"bench --cpu {option}", value, code) for option, cases in BENCH.items() for value, code in cases),
    *(
        (f"quantize --isq 4 -o new {option}", value, code)
        for option, cases in QUANTIZE.items()
        for value, code in cases
    ),
    *(
        (f"serve -p 0 {option}", *WRONG[option][0])
        for option in ("--arch", "--token-source", "--tokenizer", "--topology")
    ),
    *((f"inspect {PICTURE} {option}", *WRONG[option][0]) for option in ("--arch", "--quant", "--chat-template")),
    *((f"bench {option}", *WRONG[option][0]) for option in ("--token-source", "--quant", "--topology")),
]


class Opened(Exception):
    """Weights were opened."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files that are not what they should be."""
    folder = tmp_path_factory.mktemp("here")
    texts = {
        "notes.txt": "just some words: they are no [list",
        "notes.json": "[1, 2",
        "broken.jinja": "{% if %}",
        "broken.yaml": "0-4: {isq: 4",
        "wrong_type.yaml": "0-2: {isq: q9k}",
        "wrong_schema.json": '{"type": "nothing"}',
        "empty.txt": "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "latin.jinja").write_bytes(b"caf\xe9")
    return folder


@pytest.mark.parametrize(("line", "value", "code"), LINES)
def test_a_wrong_value_is_found_before_weights(
    line: str, value: str, code: int, here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*given: Any, **named: Any) -> None:
        raise Opened

    monkeypatch.chdir(here)
    monkeypatch.setattr(loading, "read_model", opened)
    monkeypatch.setattr(sys, "stdin", Stdin())
    if "--resume" in line:
        line = line.replace(" -i x", "")
    words = shlex.split(line)
    last = shlex.split(value)
    words = [*words[:-1], f"{words[-1]}{last[0]}"] if value.startswith("=") else [*words, *last]
    assert main(words) == code
    shown = capsys.readouterr()
    error, hint = (line for line in shown.err.splitlines() if not line.startswith("note: "))
    assert shown.out == ""
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert not re.search("Errno|os error|Traceback|Input should be|Value error|unexpected", shown.err)


def test_every_option_has_a_wrong_value() -> None:
    def valued(command: str) -> set[str]:
        return {
            next(name for name in parameter.opts if name.startswith("--"))
            for parameter in COMMANDS[command].params
            if parameter.param_type_name == "option" and not parameter.is_flag
        }

    assert valued("run") == WRONG.keys() | FREE
    assert valued("serve") <= WRONG.keys() | {word for options in SERVER for word in options.split()}
    assert valued("bench") <= WRONG.keys() | BENCH.keys()
    assert valued("quantize") <= WRONG.keys() | QUANTIZE.keys()
    assert valued("inspect") <= WRONG.keys() | FREE
