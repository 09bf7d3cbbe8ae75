"""What clients send beside what is asked, and whole rounds of tools in the words of real ones."""

import base64
import json
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.options import ServerOptions
from mistralrs_cli.server.interfaces import schemas

from .conftest import Running, Start, serving
from .foreign import agents_sdk, claude_code, codex

HI: Any = [{"role": "user", "content": "hello"}]
SAID: Any = [*HI, {"role": "assistant", "content": "Hello! I am the tiny"}]
BRIEF = {"max_tokens": 2, "temperature": 0}
LAST = " demo model"


def events(response: httpx.Response) -> list[Any]:
    """The data of server-sent events."""
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("path", "form", "asked"),
    [
        ("/v1/chat/completions", schemas.ChatRequest, {"messages": HI, **BRIEF}),
        ("/v1/completions", schemas.CompletionRequest, {"prompt": "hello", **BRIEF}),
        ("/v1/responses", schemas.ResponsesRequest, {"input": "hello", "max_output_tokens": 2}),
        ("/v1/messages", schemas.AnthropicRequest, {"messages": HI, "max_tokens": 2}),
        ("/tokenize", schemas.TokenizeRequest, {"messages": HI}),
    ],
)
def test_what_says_nothing_is_no_field(server: Running, path: str, form: Any, asked: dict[str, Any]) -> None:
    known = set(form.model_fields) | set(form.unsupported) - {"stream"}
    empties: tuple[Any, ...] = (None, [], {})
    for empty in empties:
        fields = dict.fromkeys(known | {"unheard_of", "tools"}, empty)
        response = server.post(path, **(fields | asked))
        assert response.status_code == 200, (empty, response.text)
        assert "x-ignored-fields" not in response.headers


def test_fields_that_nobody_knows_are_named(server: Running, start: Start) -> None:
    words = [{"type": "text", "text": "hello", "glow": 1}]
    asked: Any = {"messages": [{"role": "user", "content": words, "mood": "good"}], "frobnicate": 1, **BRIEF}
    told = "frobnicate, messages[].mood, messages[].content[].glow"
    for fields in ({}, {"stream": True}):
        response = server.chat(**asked, **fields)
        assert (response.status_code, response.headers["x-ignored-fields"]) == (200, told)
    named = [line["ignored"] for line in server.lines if "frobnicate" in str(line.get("ignored"))]
    assert named == [told.replace(", ", ",")]  # once, though two requests held them
    strict = start(strict=True)
    refused = strict.chat(**asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "frobnicate")
    del asked["frobnicate"]
    assert strict.chat(**asked).json()["error"]["param"] == "messages[0].mood"
    assert strict.chat(messages=HI, **BRIEF, verbosity="low", functions=[]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"chat_template_kwargs": {"mood": 1, "enable_thinking": True}}, "chat_template_kwargs.mood"),
        ({"tools": [{"type": "web_search"}]}, "tools[]:web_search"),
        ({"response_format": {"type": "text", "a=b": 1}}, "response_format.a?b"),
        (
            {"stream_options": {"include_everything": True, "include_obfuscation": True}},
            "stream_options.include_everything",
        ),
        ({"é\n": 1}, "??"),
    ],
    ids=str,
)
def test_what_is_passed_over_is_named_by_its_place(server: Running, fields: dict[str, Any], told: str) -> None:
    response = server.chat(messages=HI, **BRIEF, **fields)
    assert (response.status_code, response.headers["x-ignored-fields"]) == (200, told)


def test_hints_are_taken(server: Running) -> None:
    hints = {
        "verbosity": "low",
        "prediction": {"type": "content", "content": "x"},
        "reasoning_effort": "high",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "reasoning": {"effort": "low", "exclude": True},
        "thinking_budget": 5,
        "cache_control": {"type": "ephemeral"},
        "mirostat": 0,
        "typical_p": 1.0,
        "top_k": -1,
        "audio": {"voice": "x", "format": "wav"},
        "best_of": 1,
    }
    response = server.chat(messages=HI, **BRIEF, **hints)
    assert response.status_code == 200, response.text
    assert "x-ignored-fields" not in response.headers
    assert server.post("/v1/completions", prompt="a", n=2, best_of=2, **BRIEF).status_code == 200
    assert server.post("/v1/completions", prompt="a", best_of=2, **BRIEF).json()["error"]["param"] == "best_of"
    assert server.chat(messages=HI, max_tokens=-1, temperature=0, stop="I").status_code == 200


def test_history_is_taken_as_it_was_said(server: Running) -> None:
    for broken in ('{"zone": "UT', "null", "[]", "", '"{}"', "[" * 100_000, None):
        call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": broken}, "extra_content": {}}
        turns = [*HI, {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "a", "x_gateway": 1}]
        response = server.chat(messages=[*turns, {"role": "tool", "tool_call_id": "c1", "content": "9"}], **BRIEF)
        assert (response.status_code, response.headers["x-ignored-fields"]) == (200, "messages[].x_gateway")


@pytest.mark.parametrize("stream", [False, True])
def test_a_last_turn_by_the_assistant_is_gone_on_with(server: Running, stream: bool) -> None:
    asked: Any = {"messages": SAID, "stream": stream, "max_tokens": 2}
    response = server.post("/v1/messages", temperature=0, **asked)
    if stream:
        said = "".join(event["delta"].get("text", "") for event in events(response) if "delta" in event)
    else:
        said = response.json()["content"][0]["text"]
    assert said == LAST
    fields: Any = {"continue_final_message": True, "add_generation_prompt": False, "temperature": 0}
    response = server.chat(**asked, **fields)
    if stream:
        said = "".join(event["choices"][0]["delta"].get("content", "") for event in events(response))
    else:
        said = response.json()["choices"][0]["message"]["content"]
    assert said == LAST
    asked_with: tuple[dict[str, Any], ...] = ({}, fields | {"temperature": None})
    whole, opened = (server.post("/tokenize", messages=SAID, **more).json()["tokens"] for more in asked_with)
    assert whole[: len(opened)] == opened
    parts = [{"type": "text", "text": "Hello! I am "}, {"type": "text", "text": "the tiny"}]
    in_parts = server.post("/v1/messages", messages=[*HI, {"role": "assistant", "content": parts}], max_tokens=2)
    assert in_parts.json()["content"][0]["text"] == LAST


def test_claude_code_calls_a_tool_and_goes_on(server: Running) -> None:
    asked = [
        {"role": "user", "content": [{"type": "text", "text": "Read a.txt", "cache_control": {"type": "ephemeral"}}]}
    ]
    headers = {
        "anthropic-beta": "interleaved-thinking-2025-05-14,context-management-2025-06-27",
        "anthropic-version": "2023-06-01",
    }
    body = claude_code(asked, tool_choice={"type": "tool", "name": "Read"})
    response = httpx.post(f"{server.url}/v1/messages?beta=true", json=body, headers=headers, timeout=60)
    assert response.headers["x-ignored-fields"] == "tools[]:web_search_20250305"
    told = events(response)
    assert [event["type"] for event in told][:2] == ["message_start", "content_block_start"]
    block = next(event["content_block"] for event in told if event["type"] == "content_block_start")
    partial = "".join(
        event["delta"].get("partial_json", "") for event in told if event["type"] == "content_block_delta"
    )
    assert (block["type"], block["name"]) == ("tool_use", "Read")
    assert json.loads(partial)["file_path"] in ("a.txt", "b.txt")
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    thought = {"type": "thinking", "thinking": "I read it.", "signature": ""}
    again = [
        *asked,
        {
            "role": "assistant",
            "content": [thought, {"type": "redacted_thinking", "data": "x"}, block | {"input": json.loads(partial)}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": "1→hi"}]},
                {"type": "text", "text": "<system-reminder>Go on.</system-reminder>"},
            ],
        },
    ]
    for thinking in ({"type": "adaptive"}, {"type": "disabled"}, None):
        ended = events(server.post("/v1/messages", **claude_code(again, thinking=thinking, max_tokens=4)))
        assert ended[-2]["delta"]["stop_reason"] in ("max_tokens", "end_turn")
    count = claude_code(again)
    assert (
        server.post("/v1/messages/count_tokens", **{key: count[key] for key in count if key != "max_tokens"}).json()[
            "input_tokens"
        ]
        > 50
    )


def test_codex_calls_its_tools_and_goes_on(server: Running) -> None:
    items: list[Any] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List the files."}]},
    ]
    response = server.post("/v1/responses", **codex(items, tool_choice={"type": "function", "name": "shell"}))
    assert response.headers["x-ignored-fields"] == "tools[]:web_search, tools[]:local_shell"
    told = events(response)
    call = next(event["item"] for event in told if event["type"] == "response.output_item.done")
    assert (call["type"], call["name"]) == ("function_call", "shell")
    inside = server.post(
        "/v1/responses", **codex(items, tool_choice={"type": "function", "name": "stat"}, stream=False)
    )
    (nested,) = inside.json()["output"]
    assert (nested["type"], nested["name"], nested["namespace"]) == ("function_call", "stat", "mcp__files")
    items += [
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": None},
        call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": '{"output":"a.txt"}'},
        nested,
        {
            "type": "function_call_output",
            "call_id": nested["call_id"],
            "output": [{"type": "input_text", "text": "ok"}],
        },
        {
            "type": "custom_tool_call",
            "call_id": "c3",
            "name": "apply_patch",
            "input": "*** Begin Patch",
            "status": "completed",
        },
        {"type": "custom_tool_call_output", "call_id": "c3", "output": "Done"},
        {
            "type": "local_shell_call",
            "call_id": "c4",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"]},
        },
        {"type": "local_shell_call_output", "call_id": "c4", "output": "a.txt"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {
            "type": "message",
            "role": "assistant",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "Well."}],
        },
        {"type": "message", "role": "user", "content": "And now?"},
    ]
    response = server.post("/v1/responses", **codex(items, max_output_tokens=3))
    assert events(response)[-1]["type"] == "response.incomplete"
    assert "input:web_search_call" in response.headers["x-ignored-fields"]


def test_free_text_comes_as_free_text(server: Running) -> None:
    """A tool that takes free text: the model is held to a text, of which the end is far away."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    from mistralrs_cli.messages import ToolCall
    from mistralrs_cli.protocol.answers import call_object
    from mistralrs_cli.server.interfaces.response_tools import item_of, response_tools

    call = ToolCall("c1", "apply_patch", json.dumps({"input": "*** Begin Patch\n"}))
    item = item_of(call, response_tools([{"type": "custom", "name": "apply_patch", "format": form}]), "1")
    assert item == {
        "type": "custom_tool_call",
        "id": "ctc_1",
        "call_id": "c1",
        "name": "apply_patch",
        "input": "*** Begin Patch\n",
        "status": "completed",
    }
    custom = {"id": "c1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin Patch\n"}}
    assert call_object(call, {"apply_patch"}) == custom
    turns = [
        *HI,
        {"role": "assistant", "tool_calls": [custom]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    assert (
        server.chat(messages=turns, tools=[{"type": "custom", "custom": {"name": "apply_patch"}}], **BRIEF).status_code
        == 200
    )


def test_the_agents_sdk_asks_and_asks_again(server: Running) -> None:
    first = server.post("/v1/responses", **agents_sdk("hello", temperature=0))
    assert first.status_code == 200, first.text
    items = [{"role": "user", "content": "hello"}, *first.json()["output"], {"role": "user", "content": "Go on."}]
    second = server.post("/v1/responses", **agents_sdk(items))
    assert second.json()["status"] in ("completed", "incomplete")


def test_responses_tell_log_probabilities(server: Running) -> None:
    for asked in ({"top_logprobs": 2}, {"include": ["message.output_text.logprobs"]}):
        response = server.post("/v1/responses", input="hello", max_output_tokens=4, temperature=0, **asked).json()
        part = response["output"][0]["content"][0]
        assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
        assert len(part["logprobs"][0]["top_logprobs"]) == asked.get("top_logprobs", 0)


def test_a_prompt_is_scored(server: Running) -> None:
    """As evaluation harnesses ask: the prompt again, with the log probability of each of its tokens."""
    text = "A red circle."
    ids = server.post("/tokenize", prompt=text).json()["tokens"]
    fields: Any = {"prompt": [ids], "echo": True, "logprobs": 1, "temperature": 0}
    scored = server.post("/v1/completions", **fields, max_tokens=0).json()["choices"][0]
    told = scored["logprobs"]
    assert scored["text"] == "".join(told["tokens"]) == text
    assert len(told["tokens"]) == len(told["token_logprobs"]) == len(told["top_logprobs"]) == len(ids)
    assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
    for token, logprob, top in list(zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True))[1:]:
        assert logprob == top[token] <= max(top.values()) <= 0
    one = server.post("/v1/completions", **fields, max_tokens=1).json()["choices"][0]
    assert one["logprobs"]["token_logprobs"][1:-1] == pytest.approx(told["token_logprobs"][1:], abs=1e-4)
    drawn = server.post("/v1/completions", prompt=[ids[:2]], max_tokens=1, logprobs=1, temperature=0).json()
    best = drawn["choices"][0]["logprobs"]
    assert max(told["top_logprobs"][2].values()) == pytest.approx(best["token_logprobs"][0], abs=1e-4)
    chunks = events(server.post("/v1/completions", **fields, max_tokens=0, stream=True))
    assert [chunk["choices"][0]["logprobs"]["tokens"] for chunk in chunks if chunk["choices"][0]["logprobs"]] == [
        told["tokens"]
    ]
    assert server.post("/v1/completions", prompt="a", max_tokens=0).status_code == 400


@pytest.mark.parametrize("text", ["😊", "日本", "é€", "नमस्ते"])
def test_tokens_have_their_own_bytes(server: Running, text: str) -> None:
    fields: Any = {"grammar": {"type": "regex", "value": text}, "max_tokens": 40, "temperature": 0}
    told = server.chat(messages="hello", logprobs=True, **fields).json()["choices"][0]["logprobs"]["content"]
    assert bytes(byte for token in told for byte in token["bytes"]).decode() == text
    older = server.post("/v1/completions", prompt="hello", logprobs=1, **fields).json()["choices"][0]["logprobs"]
    spelt = b"".join(
        bytes.fromhex(token.removeprefix("bytes:").replace("\\x", "")) if token.startswith("bytes:") else token.encode()
        for token in older["tokens"]
    )
    assert spelt.decode() == text
    ids = server.post("/tokenize", prompt=text, add_special_tokens=False).json()["tokens"]
    assert bytes(server.post("/detokenize", tokens=ids).json()["bytes"]).decode() == text


def test_anthropic_counts_the_cache_apart(engine: Engine) -> None:
    with Engine(engine.loaded, prefixes=2) as keeping, serving(keeping, ServerOptions(port=0)) as running:
        body: Any = {"messages": "Tell me about a red circle.", "max_tokens": 2, "temperature": 0}
        first, second = (running.post("/v1/messages", **body).json()["usage"] for _ in range(2))
        with anthropic.Anthropic(api_key="x", base_url=running.url, max_retries=0) as claude:
            asked: Any = {
                "model": "default",
                "max_tokens": 2,
                "messages": [{"role": "user", "content": body["messages"]}],
            }
            with claude.messages.stream(**asked) as stream:
                (begun,) = (event.message.usage for event in stream if event.type == "message_start")
            counted = claude.messages.count_tokens(model="default", messages=asked["messages"]).input_tokens
    assert first["cache_read_input_tokens"] == 0 < second["cache_read_input_tokens"]
    for usage in (first, second, begun.model_dump()):
        assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted
    assert begun.cache_read_input_tokens == second["cache_read_input_tokens"]


def test_bodies_and_base64_in_every_spelling(server: Running, samples: Path) -> None:
    for body in (b"\xef\xbb\xbf", b" \n"):
        content = body + json.dumps({"messages": HI, **BRIEF}).encode()
        headers = {"content-type": "application/json; charset=utf-8"}
        assert httpx.post(f"{server.url}/v1/chat/completions", content=content, headers=headers).status_code == 200
    data = (samples / "beeps.wav").read_bytes()
    plain = base64.b64encode(data).decode()
    safe = base64.urlsafe_b64encode(data).decode()
    assert plain != safe
    for text in (
        plain,
        safe,
        safe.rstrip("="),
        "\n".join([safe[:76], safe[76:]]),
        f"data:audio/wav;base64,{safe}",
        safe + "\n",
    ):
        part = {"type": "input_audio", "input_audio": {"data": text, "format": "wav"}}
        response = server.chat(messages=[{"role": "user", "content": [part]}], max_tokens=1)
        assert response.json()["usage"]["prompt_tokens_details"]["audio_tokens"] == 37
    picture = base64.urlsafe_b64encode((samples / "red_circle.png").read_bytes()).decode().rstrip("=")
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    block: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    assert server.post("/v1/messages", messages=block, max_tokens=1).status_code == 200


def test_what_a_picture_is_said_to_be_is_passed_over(server: Running, samples: Path) -> None:
    url = {"url": str(samples / "red_circle.png"), "format": "image/png", "detail": "", "uuid": "x"}
    parts = [{"type": "image_url", "image_url": url, "uuid": "y", "cache_control": {"type": "ephemeral"}}]
    response = server.chat(messages=[{"role": "user", "content": parts}], **BRIEF)
    assert response.status_code == 200, response.text
    assert "x-ignored-fields" not in response.headers


def test_models_with_a_slash_at_the_end(server: Running) -> None:
    listed = httpx.get(f"{server.url}/v1/models").json()
    assert httpx.get(f"{server.url}/v1/models/").json() == listed
    assert httpx.get(f"{server.url}/v1/models/demo").json()["id"] == "demo"


def test_a_transcriptions_hints(server: Running, samples: Path) -> None:
    hints = {
        "chunking_strategy": "auto",
        "timestamp_granularities[]": "segment",
        "mood": "good",
        "language": "",
        "stream": "",
    }
    with (samples / "digits.wav").open("rb") as file:
        response = httpx.post(f"{server.url}/v1/audio/transcriptions", files={"file": file}, data=hints, timeout=60)
    assert (response.status_code, response.headers["x-ignored-fields"]) == (200, "mood")
    assert response.json()["text"] == "three seven one"
