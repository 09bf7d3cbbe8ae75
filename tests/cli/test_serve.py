"""``mistralrs serve``: its words, and the process it becomes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from typer.main import get_command

from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import app, parse
from mistralrs_cli.cli.page import open_page, page_options
from mistralrs_cli.cli.params.option import HARDWARE, MODEL
from mistralrs_cli.cli.serve import Serving
from mistralrs_cli.cli.server_log import addresses, say, with_page_key
from mistralrs_cli.errors import OptionError
from mistralrs_cli.options import ServerOptions
from mistralrs_cli.terminal.console import Console

pytestmark = pytest.mark.slow


def parsed(*words: str) -> Serving:
    job = parse(["serve", *words])
    assert isinstance(job, Serving)
    return job


@pytest.mark.parametrize(
    "words",
    [
        ("vision", "-p", "1234", "-m", "M"),
        ("-p", "1234", "vision", "-m", "M"),
        ("-p", "1234", "-m", "M", "vision"),
        ("--port", "1234", "--model-id", "M", "vision"),
    ],
)
def test_the_spellings_of_the_documents(words: tuple[str, ...]) -> None:
    job = parsed(*words)
    assert (job.kind, job.server.port, job.model.model_id) == ("vision", 1234, "M")


def test_whatever_loads_a_model_for_run_loads_it_for_serve() -> None:
    panels = {MODEL, HARDWARE}
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    run, serve = (
        {param.name for param in commands[name].params if getattr(param, "rich_help_panel", None) in panels}
        for name in ("run", "serve")
    )
    assert run - serve == set()


def test_a_seed_may_stand_before_the_command() -> None:
    job = parse(["--seed", "7", "serve", "-p", "0"])
    assert isinstance(job, Serving)
    assert (job.server.seed, parsed("--seed", "8").server.seed, parsed().server.seed) == (7, 8, None)


def test_options_of_the_contract_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed("--no-ui", "--tok-model-id", "OWNER/WORDS").model.tok_model_id == "OWNER/WORDS"
    for command in "run", "serve":
        assert main([command, "--no-kv-cache"]) == 2
        assert "a KV cache is always used" in capsys.readouterr().err
        assert main([command, "--tok-model-id", "M", "-t", "tokenizer.json"]) == 2
        assert "exclude each other" in capsys.readouterr().err


def test_it_listens_to_this_machine_only_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed().server.host == "127.0.0.1"
    assert parsed().server.port == 1234
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "--api-key" in capsys.readouterr().err


def test_keys_come_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# team\nsecret-2\n\nsecret-3\n")
    job = parsed("--api-key", "secret-1", "--api-key-file", str(file))
    assert job.server.api_keys == ("secret-1", "secret-2", "secret-3")
    assert "secret" not in repr(job)
    with pytest.raises(OptionError):
        parsed("--api-key", "")
    with pytest.raises(OptionError):
        parsed("--allowed-media-path", str(tmp_path / "none"))


def test_a_port_in_use_is_said_before_any_weights_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "-p", str(taken.getsockname()[1])]) == 2
    assert re.search(r"cannot listen on 127\.0\.0\.1:\d+: it is in use\.", capsys.readouterr().err)


def test_what_the_server_says_at_its_start_has_the_form_of_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    say("note", "demo is served", "text", console)
    say("ready", "demo is ready", "text", console)
    assert capsys.readouterr().err == "note: demo is served\ndemo is ready\n"
    say("note", "demo is “served”\nhere", "json", console)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line) == {"time": mock.ANY, "event": "note", "message": "demo is “served”\nhere"}
    console.quiet = True
    say("note", "demo is served", "json", console)
    say("ready", "demo is ready", "text", console)
    assert capsys.readouterr().err == ""


def test_a_prefix_has_a_slash_before_it_and_none_behind() -> None:
    given = ("", "/", "llm", "/llm/", "/a/b")
    assert [parsed("--root-path", path).server.root_path for path in given] == ["", "", "/llm", "/llm", "/a/b"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """The demo model, served by a process of its own."""
    words = [sys.executable, "-m", "mistralrs_cli", "serve", "-p", "0", "--log-format", "json"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


def test_a_process_says_where_it_is_and_ends_when_it_is_told(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert process.stdout is not None
    said = [json.loads(next(process.stderr)) for _ in range(6)]
    assert [line["event"] for line in said] == ["note", *["ready"] * 5]
    note, model, place, page, example, warning = (line["message"] for line in said)
    assert "serving the bundled demo model" in note
    assert "demo (Gemma 4) is ready: text, image, audio, video; float32 on cpu" in model
    curl = re.search(r"try: (curl http://127\.0\.0\.1:(\d+)/v1/chat/completions .*)", example)
    assert curl is not None
    assert f"listening on http://127.0.0.1:{curl[2]}/v1 " in place
    key = re.search(rf"http://127\.0\.0\.1:{curl[2]}/ui/#key=([\w-]{{32}})$", page)
    assert key is not None
    about = f"http://127.0.0.1:{curl[2]}/ui/about"
    assert httpx.get(about, headers={"Authorization": f"Bearer {key[1]}"}).json()["own"] is True
    assert json.loads(next(process.stderr))["path"] == "/ui/about"
    assert "may name any file" in warning
    answer = subprocess.run(["bash", "-c", f"{curl[1]} -s"], capture_output=True, text=True, check=True).stdout
    assert "demo model" in json.loads(answer)["choices"][0]["message"]["content"]
    line = json.loads(next(process.stderr))
    assert (line["path"], line["status"]) == ("/v1/chat/completions", 200)
    assert "What can you do" not in json.dumps(line)

    long = {"messages": "Go on.", "max_tokens": 60, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"http://127.0.0.1:{curl[2]}/v1/chat/completions", json=long, timeout=60) as response:
        events = response.iter_lines()
        next(events)
        process.send_signal(signal.SIGINT)
        assert [line for line in events if line][-1] == "data: [DONE]", "a running answer is finished"
    assert process.wait(20) == 130
    (line,) = map(json.loads, process.stderr.read().splitlines())
    assert (line["event"], line["finish"]) == ("request", "length")
    assert process.stdout.read() == ""


def test_the_page_of_run_is_served_with_a_key_of_its_own() -> None:
    jobs = [parse(["run", "--ui", "-m", "M", "--quant", "4"]) for _ in range(2)]
    first, other = (job for job in jobs if isinstance(job, Serving))
    assert first.show_page
    assert (first.model.model_id, first.model.quant, first.server.host) == ("M", "4", "127.0.0.1")
    assert len(first.server.api_keys[0]) > 30
    assert first.server.api_keys == (first.server.page_key,)
    assert first.server.api_keys != other.server.api_keys


def test_the_page_of_run_begins_with_the_settings_that_were_given() -> None:
    words = ["--temperature", "0", "-s", "Be brief.", "--stop", "END", "--thinking=false"]
    job = parse(["run", "--ui", *words])
    assert isinstance(job, Serving)
    settings = {"temperature": 0.0, "stop": ["END"], "enable_thinking": False, "system": "Be brief."}
    assert job.server.page_settings == settings


@pytest.mark.parametrize(
    ("options", "address"),
    [
        (ServerOptions(), "http://127.0.0.1:1234/ui/#key="),
        (ServerOptions(host="::1", root_path="/llm"), "http://[::1]:1234/llm/ui/#key="),
        (ServerOptions(certificate="a.pem", api_keys=("k",)), "https://127.0.0.1:1234/ui/#key="),
        (ServerOptions(host="0.0.0.0", api_keys=("k",)), None),
        (ServerOptions(uds="a.sock"), None),
        (ServerOptions(page=False), None),
    ],
)
def test_the_address_with_a_key_is_shown_where_the_page_has_the_chats_of_this_user(
    options: ServerOptions, address: str | None
) -> None:
    shown = [line for line in addresses(with_page_key(options)) if "/ui/" in line]
    assert len(shown) == (address is not None)
    assert address is None or address in shown[0]


@pytest.mark.parametrize("words", [("-i", "hi"), ("--image", "a.png"), ("--continue",)])
def test_what_is_chosen_in_the_page_is_no_option_beside_it(words: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="--ui does not take"):
        parse(["run", "--ui", *words])


@pytest.mark.parametrize(("display", "opened"), [("", 0), (":0", 1)])
def test_a_browser_is_opened_where_it_gets_a_window(
    display: str, opened: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("BROWSER", "WAYLAND_DISPLAY", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with mock.patch("webbrowser.open", return_value=True) as browser:
        open_page(replace(page_options(), port=7), Console())
    assert browser.call_count == opened
    shown = capsys.readouterr().err
    assert "http://127.0.0.1:7/ui/#key=" in shown
    assert ("open that address yourself" in shown) is not bool(opened)
