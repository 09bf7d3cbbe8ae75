"""What ``deploy/`` says of this server is so: metrics, options and paths. What needs other programs is on its page."""

import json
import os
import re
import socket
from pathlib import Path

import httpx
import pytest
import yaml

from mistralrs_cli.errors import OptionError
from mistralrs_cli.server import systemd
from tests.drift.test_documented import commands
from tests.server.conftest import Running

DEPLOY = Path(__file__).parents[2] / "deploy"
UNSHOWN = {f"mistralrs_{name}" for name in ("media_stuck_threads", "media_tokens_total", "model_loads_total")}
UNSHOWN |= {"mistralrs_build_info"}


def test_the_dashboard_shows_metrics_that_there_are(server: Running) -> None:
    """Every name in it is in the server's own text, with the labels by which it is grouped."""
    server.chat(messages="hi", max_tokens=2)
    found = httpx.get(f"{server.url}/metrics").text
    names = set(re.findall(r"^# TYPE (\S+)", found, re.MULTILINE))
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = {name for query in queries for name in re.findall(r"\b((?:mistralrs|process)_\w+)", query)}
    assert {name.removesuffix("_bucket") for name in shown} <= names
    ours = {name for name in names if name.startswith("mistralrs_") and not name.endswith("_created")}
    assert ours - {name.removesuffix("_bucket") for name in shown} == UNSHOWN


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*")), ids=lambda path: path.name)
def test_options_and_paths_in_deploy_are_real(path: Path, server: Running) -> None:
    if not path.is_file():
        return
    text = path.read_text()
    if path.suffix in (".yaml", ".yml"):
        assert list(yaml.safe_load_all(text))
    options = {name for parameter in commands()["serve"].params for name in parameter.opts}
    for line in text.splitlines():
        if "serve" in line and not line.lstrip().startswith("#"):
            assert set(re.findall(r"(?<![\w-])--[a-z-]+", line.partition("serve")[2])) <= options
    for route in re.findall(r"1234(/\w+)|path: (/health|/ready)", text):
        assert httpx.get(server.url + "".join(route)).status_code == 200


def test_systemd_is_told_and_gives_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.notify("READY=1", "STATUS=well")
        assert receiver.recv(100) == b"READY=1\nSTATUS=well"
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.notify("READY=1")
    assert systemd.inherited() is None
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert systemd.inherited() is None, "it is for another process"


@pytest.mark.parametrize(("count", "family"), [("2", socket.AF_INET), ("1", socket.AF_UNIX)])
def test_other_sockets_of_systemd_are_refused(monkeypatch: pytest.MonkeyPatch, count: str, family: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as given:
        monkeypatch.setattr(systemd, "FIRST", given.fileno())
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", count)
        with pytest.raises(OptionError, match="something else"):
            systemd.inherited()


def test_the_socket_of_systemd_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen()
        monkeypatch.setattr(systemd, "FIRST", os.dup(given.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        found = systemd.inherited()
        assert found is not None
        with found:
            assert found.getsockname() == given.getsockname()
    assert "LISTEN_PID" not in os.environ
