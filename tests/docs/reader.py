"""Who does what a page says: types commands on a terminal, talks to the chat, asks the server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import httpx
import pytest
from prompt_toolkit.input import create_pipe_input

from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.commands import parse
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.repl import devices
from mistralrs_cli.server import process as running
from tests.attach.other_server import other_server
from tests.docs.commands import Call, Shell
from tests.docs.terminal import Terminal
from tests.terminal.streams import Stdin

ONLY_PARSED = {"login": "asks the hub whose token it is"}
"""First words of the commands that are not carried out, and why."""

PORT, KEY = "1234", "a-long-secret"
PATIENCE = 60.0
ENOUGH = 64
"""Tokens for a whole answer of the schema."""
TYPED = "what is in photo.jpg?\r", "\x04"
"""A question and Ctrl-D."""


class Reader:
    """Does what a page says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
        self.patch = monkeypatch
        self.terminal = terminal
        terminal.attach(monkeypatch)

    def perform(self, call: Call, requests: Sequence[str], shell: Shell) -> int:
        """Carry out a command and return its exit code. A server is asked what the page asks it, then ended."""
        words = [*call.words]
        if words[0] in ONLY_PARSED or "--ui" in words:  # the page waits for a browser; `make test-ui` has one
            assert callable(parse(words).run)  # type: ignore[union-attr]
            return 0
        if "--server" in words:
            with other_server() as server:
                return self.chat([server.url if word == f"http://localhost:{PORT}" else word for word in words])
        if words[0] in ("run", "batch", "serve", "quantize"):
            words.append("--cpu")
        if {"--json-schema", "--schema"} & {*words}:  # half of a JSON text is an error
            words += ["--max-tokens", str(ENOUGH)]
        if words[0] == "serve":
            return self.serve(words, requests, shell)
        if words[0] == "run" and "-i" not in words and "--dry-run" not in words and not call.stdin:
            return self.chat(words)
        asks = words[:2] == ["sessions", "delete"]
        if asks or call.stdin:
            self.terminal.attach(self.patch, Stdin(b"y\n" if asks else call.stdin, terminal=asks))
        return main(words)

    def chat(self, words: list[str]) -> int:
        """Ask something on a terminal and leave."""
        with create_pipe_input() as keys:
            self.patch.setattr(devices, "keyboard", lambda: keys)
            for text in TYPED:
                keys.send_text(text)
            before = len(Store().latest().turns) if {"--continue", "--resume"} & {*words} else 0
            code = main(words)
        assert len(Store().latest().turns) == before + 1
        return code

    def serve(self, words: list[str], requests: Sequence[str], shell: Shell) -> int:
        """Start a server, ask it, end it."""
        port = free_port()
        words = [port if word == PORT else word for word in words]
        if port not in words:
            words += ["-p", port]
        begun: list[running.Server] = []
        failures: list[BaseException] = []

        class Begun(running.Server):
            def __init__(self, *given: object) -> None:
                super().__init__(*given)  # type: ignore[arg-type]
                begun.append(self)

        def visit() -> None:
            try:
                ask(port, words, requests, shell, lambda: code is None)
            except BaseException as error:
                failures.append(error)
            for server in begun:
                server.should_exit = True

        code = None
        self.patch.setattr(running, "Server", Begun)
        visitor = threading.Thread(target=visit)
        visitor.start()
        try:
            code = main(words)
        finally:
            code = -1 if code is None else code
            visitor.join()
        if failures and not code:
            raise failures[0]
        return code


def ask(port: str, words: list[str], requests: Sequence[str], shell: Shell, alive: Callable[[], bool]) -> None:
    """Wait until the model is loaded, let it answer a question, and send what the page sends."""
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE
    while not ready(url):
        assert alive()
        assert time.monotonic() < deadline, "the server is not ready"
        time.sleep(0.02)
    key = words[words.index("--api-key") + 1] if "--api-key" in words else KEY
    question = {"messages": "Hello", "max_tokens": 2}
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=question, headers=headers, timeout=PATIENCE)
    assert answer.json()["choices"][0]["message"]["role"] == "assistant", answer.text
    for line in requests:
        said = shell.run(line.replace(f"localhost:{PORT}", f"127.0.0.1:{port}").replace("curl ", "curl -sS --fail ", 1))
        assert said.strip(), line


def ready(url: str) -> bool:
    """Whether the model is loaded."""
    try:
        return httpx.get(f"{url}/ready", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])
