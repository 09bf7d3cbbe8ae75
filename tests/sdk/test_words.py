"""Errors in the SDK's own words, as they come out of a runner: those of the command line never do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistralrs import ChatCompletionRequest, CompletionRequest, Runner, Which
from tests.server.conftest import Running

OF_OTHERS = r"(?<![\w-])--[a-z]|(?<![\w'-])-[a-z](?![\w-])|/set |MISTRALRS_DEBUG|docs/|quote it"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"in_situ_quant": "q9k"}, "Unknown quantization: q9k."),
        ({"num_device_layers": "x"}, 'num_device_layers="0:16;1:16"'),
        ({"num_device_layers": ["0:1", "0:2"]}, "num_device_layers"),
        ({"max_memory": "x"}, "max_memory"),
        ({"token_source": "env:NOT_SET_HERE", "which": "a/b"}, 'token_source="env:NOT_SET_HERE"'),
        ({"chat_template": "nowhere.json"}, "nowhere.json"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"which": Which.MultimodalPlain("demo", arch="Gemma3")}, "Leave out arch"),
        ({"which": Which.MultimodalPlain("demo", arch="Gemma5")}, "Gemma5"),
        ({"which": Which.MultimodalPlain("demo", matformer_slice_name="x")}, "needs matformer_config_path"),
        ({"which": "./nowhere"}, "nowhere"),
        ({"which": __file__}, "model_id"),
        ({"which": str(Path(__file__).parent)}, "model_id"),
        ({"no_kv_cache": True}, "no_kv_cache"),
    ],
)
def test_loading(given: dict[str, Any], says: str) -> None:
    options: dict[str, Any] = {"which": "demo", "cpu": True, **given}
    with pytest.raises((ValueError, RuntimeError)) as caught:
        Runner(**options)
    assert says in str(caught.value)
    assert not re.search(OF_OTHERS, str(caught.value)), str(caught.value)


Ask = Callable[[Any, Path], Any]


def chat(**given: Any) -> Ask:
    request: dict[str, Any] = {"messages": "Hello", "max_tokens": 2, **given}
    return lambda runner, samples: runner.send_chat_completion_request(ChatCompletionRequest(**request))


def image(name: str, **more: Any) -> Ask:
    return lambda runner, samples: chat(images=samples / name, **more)(runner, samples)


REQUESTS: dict[str, tuple[Ask, str]] = {
    "thinking": (chat(enable_thinking=True), "enable_thinking"),
    "temperature": (chat(temperature=500), "temperature"),
    "seed": (chat(seed=2**80), "seed"),
    "top_logprobs": (chat(top_logprobs=3), "logprobs"),
    "bias": (chat(logit_bias={10**9: 1}), "token 1000000000"),
    "grammar": (chat(grammar="(", grammar_type="regex"), "regex"),
    "tool choice": (chat(tool_choice="required"), "tool"),
    "role": (chat(messages=[{"role": "x", "content": ""}]), "role"),
    "no file": (image("no where.png"), "no where.png"),
    "a sound as an image": (image("beeps.wav"), "WAV"),
    "an image as a video": (lambda runner, samples: chat(videos=samples / "red_circle.png")(runner, samples), "video"),
    "too long": (chat(messages="la " * 20000), "8,192"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_asking(name: str, runner: Runner, samples: Path) -> None:
    ask, says = REQUESTS[name]
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        ask(runner, samples)
    assert not re.search(OF_OTHERS, str(caught.value)), str(caught.value)


def test_an_effort_is_refused_here_and_passed_over_by_a_server(runner: Runner, server: Running) -> None:
    request = ChatCompletionRequest("Hello", max_tokens=2, reasoning_effort="high")
    with pytest.raises(ValueError, match=r"^reasoning_effort: demo cannot think") as caught:
        runner.send_chat_completion_request(request)
    assert not re.search(OF_OTHERS, str(caught.value)), str(caught.value)
    with Runner.connect(server.url) as remote:
        assert remote.send_chat_completion_request(request).usage.completion_tokens == 2


@pytest.mark.parametrize("name", REQUESTS)
def test_asking_a_server(name: str, server: Running, samples: Path) -> None:
    """What only the server's command line can change is said to be that."""
    ask, says = REQUESTS[name]
    with Runner.connect(server.url) as remote, pytest.raises((ValueError, FileNotFoundError)) as caught:
        ask(remote, samples)
    assert says in str(caught.value)
    assert not re.search(r"/set |MISTRALRS_DEBUG|docs/|quote it", str(caught.value))
    assert not re.search(OF_OTHERS, str(caught.value)) or "of mistralrs serve.)" in str(caught.value)


@pytest.mark.parametrize("remote", [False, True])
def test_what_is_no_request(remote: bool, runner: Runner, server: Running) -> None:
    with Runner.connect(server.url) as other:
        asked: Any = other if remote else runner
        for given in ("hello", {"messages": "hello"}, None, CompletionRequest("x")):
            with pytest.raises(ValueError, match="is not a ChatCompletionRequest"):
                asked.send_chat_completion_request(given)
        with pytest.raises(ValueError, match=r"Write CompletionRequest\('x'\) instead"):
            asked.send_completion_request("x")
        with pytest.raises(ValueError, match="prompt must be text"):
            asked.send_completion_request(CompletionRequest(5))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="text must be text"):
            asked.tokenize_text(5)
        with pytest.raises(ValueError, match="tokens must be a whole number"):
            asked.detokenize_text(["a"])
        assert asked.detokenize_text(asked.tokenize_text("hello", False)) == "hello"


def test_a_completion_has_an_id_of_its_own(runner: Runner, server: Running) -> None:
    request = CompletionRequest("A", max_tokens=1)
    with Runner.connect(server.url) as remote:
        for each in (runner, remote):
            assert each.send_completion_request(request).id.startswith("cmpl-")
            assert each.send_chat_completion_request(ChatCompletionRequest("A", max_tokens=1)).id.startswith(
                "chatcmpl-"
            )


def test_everything_shows_what_it_is(runner: Runner, server: Running) -> None:
    from mistralrs import AsyncRunner

    assert repr(runner) == "<Runner demo: loaded>"
    assert repr(AsyncRunner("demo")) == "<AsyncRunner, not loaded yet>"
    assert repr(AsyncRunner(runner)) == "<AsyncRunner, <Runner demo: loaded>>"
    assert repr(Runner.connect(server.url + "/v1/")) == f"<RemoteRunner {server.url}>"
    chunks = runner.send_chat_completion_request(ChatCompletionRequest("A", max_tokens=1, stream=True))
    assert repr(chunks) == "<Chunks, open>"
    chunks.close()
    assert repr(chunks) == "<Chunks, closed>"


@pytest.mark.parametrize("address", ["ftp://localhost", "http://localhost:abc", "file:///tmp"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match=r"\nWrite http://localhost:1234"):
        Runner.connect(address)


def test_a_server_that_is_not_there(server: Running) -> None:
    request = ChatCompletionRequest("A", max_tokens=1)
    with Runner.connect("127.0.0.1:9") as remote, pytest.raises(RuntimeError, match=r"^Nothing answers at http"):
        remote.send_chat_completion_request(request)
    with Runner.connect(f"127.0.0.1:{server.port}") as remote:
        assert remote.send_chat_completion_request(request).usage.completion_tokens == 1
    with pytest.raises(RuntimeError, match="This connection is closed"):
        remote.send_chat_completion_request(request)


def test_what_json_cannot_hold_is_not_sent(server: Running) -> None:
    with Runner.connect(server.url) as remote, pytest.raises(ValueError, match="JSON cannot"):
        remote.send_chat_completion_request(ChatCompletionRequest("A", temperature=float("nan")))
