"""Which requests belong together."""

import json
from typing import Any

import pytest

from mistralrs_cli.server.replicas.affinity import conversation_key, destination

CHAT, MESSAGES, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"


def key(path: str, **body: Any) -> str | None:
    return conversation_key(path, json.dumps(body).encode())


def picture(data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def chat(*turns: Any, system: str | None = "Be brief.", **fields: Any) -> str | None:
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
    return key(CHAT, messages=[{"role": "system", "content": system}, *messages] if system else messages, **fields)


def test_all_turns_of_a_conversation_have_one_key() -> None:
    first = chat("What is this?")
    assert first is not None
    assert chat("What is this?", "A circle.", "Of which colour?") == first
    assert chat("What is this?", "A square.", max_tokens=5, temperature=0.5, stream=True) == first


def test_another_beginning_is_another_key() -> None:
    keys = [
        chat("What is this?"),
        chat("What is that?"),
        chat("What is this?", system="Be kind."),
        chat("What is this?", system=None),
        chat([picture("AAAA"), {"type": "text", "text": "What is this?"}]),
        chat([picture("AAAB"), {"type": "text", "text": "What is this?"}]),
        chat("ab", system="c"),
        chat("b", system="ca"),
    ]
    assert len({*keys, None}) == len(keys) + 1


def test_the_order_of_fields_makes_no_difference() -> None:
    one = b'{"messages": [{"role": "user", "content": "Hello"}]}'
    other = b'{"model": "x", "messages": [{"content": "Hello", "role": "user"}]}'
    assert conversation_key(CHAT, one) == conversation_key(CHAT, other)


def test_anthropic_marks_for_caching_move_and_do_not_count() -> None:
    marked = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    plain = [{"type": "text", "text": "Hi"}]
    assert key(MESSAGES, system="S", messages=[{"role": "user", "content": marked}]) == key(
        MESSAGES, system="S", messages=[{"role": "user", "content": plain}], max_tokens=3
    )


def test_the_other_interfaces() -> None:
    question = [{"role": "user", "content": "Hi"}]
    assert key(RESPONSES, input="Hi") not in (
        None,
        key(RESPONSES, input="Ho"),
        key(RESPONSES, input="Hi", instructions="x"),
    )
    assert key(RESPONSES, input=question) == key(RESPONSES, input=[*question, {"type": "function_call", "name": "f"}])
    assert key(COMPLETIONS, prompt="Once") not in (None, key(COMPLETIONS, prompt="Twice"))
    assert key(COMPLETIONS, prompt=[1, 2]) not in (None, key(COMPLETIONS, prompt=[1, 3]))


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"3", b'{"model": "x"}', b"\xff\xfe"])
def test_what_is_no_conversation_has_no_key(body: bytes) -> None:
    assert conversation_key(CHAT, body) is None
    assert conversation_key("/v1/audio/transcriptions", body) is None


@pytest.mark.parametrize(
    "messages", [[], "Hello", [1, "x"], [None], [{"role": 3}], {"role": "user"}, None, [[{"x": []}]]]
)
def test_a_body_of_the_wrong_shape_fails_at_the_replica_not_here(messages: Any) -> None:
    conversation_key(CHAT, json.dumps({"messages": messages}).encode())


def test_the_model_that_a_body_or_a_form_names() -> None:
    asked = json.dumps({"model": "small", "messages": []}).encode()
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nspeech\r\n--x--\r\n'
    assert destination(CHAT, asked).model == "small"
    assert destination("/tokenize", b'{"model_id": "large"}').model == "large"
    assert destination("/v1/audio/transcriptions", form).model == "speech"
    assert destination(CHAT, b'{"model": 5}').model is None
