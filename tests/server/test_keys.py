"""Keys with names and limits: what each may, and that no key is shown."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from mistralrs_cli.errors import OptionError
from mistralrs_cli.server.keys import Allowance, Keyring, read_keys
from tests.server.conftest import Running, Start

ALICE, BOB = "secret-of-alice", "secret-of-bob"


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def ask(server: Running, key: str, tokens: int = 1) -> httpx.Response:
    body = {"messages": "hi", "max_tokens": tokens, "ignore_eos": True}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def test_limits_of_a_key_are_its_own(start: Start, tmp_path: Path) -> None:
    """429 with the time to come again, and OpenAI's headers; names in log and metrics, keys in neither."""
    file = write(
        tmp_path / "keys.toml",
        f'[alice]\nkey = "{ALICE}"\nrequests_per_minute = 2\n[bob]\nkey = "{BOB}"\ntokens_per_minute = 10\n',
    )
    server = start(keys_file=file)
    first = ask(server, ALICE)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert ask(server, ALICE).status_code == 200
    refused = ask(server, ALICE)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert ask(server, BOB, 40).status_code == 200, "one that begins is answered to the end"
    overdrawn = ask(server, BOB)
    assert overdrawn.status_code == 429
    assert "tokens a minute" in overdrawn.json()["message"]
    assert httpx.get(f"{server.url}/v1/models", headers={"x-api-key": ALICE}).status_code == 200, "asking is no request"
    metrics = httpx.get(f"{server.url}/metrics", headers={"x-api-key": BOB}).text
    assert 'mistralrs_key_requests_total{key="alice"} 2.0' in metrics
    assert {line["key"] for line in server.lines} == {"alice", "bob"}
    assert not any(key in f"{server.lines}{metrics}" for key in (ALICE, BOB))


def test_the_requests_that_a_key_has_at_a_time(start: Start, tmp_path: Path) -> None:
    server = start(keys_file=write(tmp_path / "keys.toml", f'[alice]\nkey = "{ALICE}"\nconcurrency = 1\n'))
    headers = {"Authorization": f"Bearer {ALICE}"}
    body = {"messages": "hi", "max_tokens": 100_000, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60) as stream:
        lines = stream.iter_lines()  # once it is collected the stream is closed
        next(lines)
        assert ask(server, ALICE).status_code == 429
    until = time.monotonic() + 60
    while ask(server, ALICE).status_code != 200:
        assert time.monotonic() < until
    left = next(line for line in server.lines if line["status"] == 200)
    assert left["prompt_tokens"] != 0, "tokens of an answer whose client left count as well"


def test_a_file_is_read_again(tmp_path: Path) -> None:
    """A wrong one changes nothing; what a key has used counts on."""
    path = tmp_path / "keys.toml"
    keys = Keyring(["given"], write(path, f'[alice]\nkey = "{ALICE}"\nrequests_per_minute = 5\n'))
    account = keys.account(ALICE)
    assert account is not None
    account.begin()
    write(path, "nonsense")
    with pytest.raises(OptionError, match="not TOML"):
        keys.reload()
    assert keys.account(ALICE) is account
    write(path, f'[alice]\nkey = "new"\nrequests_per_minute = 3\n[bob]\nkey = "{BOB}"\n')
    assert keys.reload() == 3
    assert keys.account(ALICE) is None
    assert keys.account("given") is not None
    renewed = keys.account("new")
    assert renewed is not None
    assert renewed.headers()["x-ratelimit-remaining-requests"] == "2"
    assert renewed.running == 1
    account.end(0)
    assert renewed.running == 0, "one that had begun before ends for the key that is read again"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_a_hang_up_has_the_keys_read_again(start: Start, tmp_path: Path) -> None:
    """As the signal handler leaves it: servers in tests run in threads, where no signal arrives."""
    path = tmp_path / "keys.toml"
    server = start(keys_file=write(path, f'[alice]\nkey = "{ALICE}"\n'))
    assert ask(server, BOB).status_code == 401
    write(path, f'[bob]\nkey = "{BOB}"\n')
    server.server._hang_up(signal.SIGHUP, None)
    until = time.monotonic() + 60
    while ask(server, BOB).status_code != 200:
        assert time.monotonic() < until
    assert ask(server, ALICE).status_code == 401


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("[a]\n", "missing"),
        ('[a]\nkey = "two words"\n', "HTTP cannot carry"),
        ('a = "secret"\n', "no table"),
        ('[a]\nkey = "x"\nrequests_per_minute = 0\n', "whole number"),
        ('[a]\nkey = "x"\nlimit = 5\n', "limit"),
        ('[key-1]\nkey = "x"\n', "no name"),
        ('[a]\nkey = "secret"\n[b]\nkey = "secret"\n', "two names"),
        ('[a]\nkey = "secret', "not TOML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as refused:
        read_keys(write(tmp_path / "keys.toml", text))
    assert "secret" not in str(refused.value)


@pytest.mark.skipif(os.name != "posix", reason="the system has no modes of files")
def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="others can read"):
        read_keys(write(tmp_path / "keys.toml", f'[alice]\nkey = "{ALICE}"\n', 0o640))


def test_an_allowance_comes_back_evenly() -> None:
    now = 0.0
    allowance = Allowance(60, lambda: now)
    allowance.spend(61)
    assert allowance.seconds_until(1) == 2
    now = 30.0
    assert allowance.left == 29
    now = 1000.0
    assert allowance.left == 60
