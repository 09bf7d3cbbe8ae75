"""Thoughts over HTTP, by a model that thinks: its weights lead from each token to the next, whatever was asked."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import anthropic
import openai
import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.options import ServerOptions
from tests.checkpoints.builders import TEXT
from tests.checkpoints.fixtures import opened
from tests.checkpoints.tokens import template, tokenizer

from .conftest import Running, serving

CHAIN = ["\n", "<think>", "h", "m", "</think>", "y", "e", "s", "<eos>"]
ASK: Any = [{"role": "user", "content": "Well?"}]
DRAWN: Any = {"model": "default", "temperature": 0}


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose model thinks ``hm`` and says ``yes``."""
    ensure_importable()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("thinker")
    tokens = tokenizer(["<think>", "</think>"])
    closed = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    tokens.chat_template = template() + closed
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokens), num_hidden_layers=1, **TEXT))
    chain = [tokens(word, add_special_tokens=False)["input_ids"][0] for word in CHAIN]
    with torch.no_grad():
        layer = model.model.layers[0]
        for weight in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight, model.lm_head.weight):
            weight.zero_()
        for token, upcoming in pairwise(chain):
            model.lm_head.weight[upcoming] = model.model.embed_tokens.weight[token] * 100
    model.generation_config.eos_token_id = tokens.eos_token_id
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    with Engine(opened(folder), max_rows=2) as engine, serving(engine, ServerOptions(port=0)) as running:
        yield running


def test_chat_completions_tell_thoughts_from_the_answer(thinker: Running) -> None:
    with thinker.client() as client:
        whole = client.chat.completions.create(messages=ASK, **DRAWN)
        message: Any = whole.choices[0].message
        assert (message.reasoning_content, message.content) == ("hm", "yes")
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None
        assert whole.usage.completion_tokens_details is not None
        assert whole.usage.completion_tokens_details.reasoning_tokens == 3  # its end is a token of the thought
        deltas: list[Any] = [
            chunk.choices[0].delta
            for chunk in client.chat.completions.create(messages=ASK, stream=True, **DRAWN)
            if chunk.choices
        ]
    said = [
        (name, text)
        for delta in deltas
        for name in ("reasoning_content", "content")
        if (text := getattr(delta, name, None))
    ]
    assert said == [("reasoning_content", "h"), ("reasoning_content", "m"), *[("content", letter) for letter in "yes"]]


def test_a_model_that_is_told_not_to_think_does_not(thinker: Running) -> None:
    for fields in ({"enable_thinking": False}, {"chat_template_kwargs": {"enable_thinking": False}}):
        answer = thinker.chat(messages=ASK, temperature=0, **fields).json()
        message = answer["choices"][0]["message"]
        assert (message.get("reasoning_content"), message["content"]) == (None, "yes")


def test_a_thought_that_the_prompt_opens_is_no_part_of_the_text_and_free_of_its_grammar(thinker: Running) -> None:
    asked = {"prompt": "Well?<think>", "temperature": 0, "max_tokens": 8}
    plain = thinker.post("/v1/completions", **asked).json()
    assert plain["choices"][0]["text"] == "yes"
    held = thinker.post("/v1/completions", **asked, grammar={"type": "regex", "value": "y[xz]{2}"}).json()
    assert held["choices"][0]["text"] in ("yxx", "yxz", "yzx", "yzz")
    assert held["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


def test_messages_have_thoughts_as_blocks_of_their_own(thinker: Running) -> None:
    with anthropic.Anthropic(api_key="x", base_url=thinker.url, max_retries=0) as claude:
        fields: Any = {"model": "default", "max_tokens": 20, "messages": ASK, "extra_body": {"temperature": 0}}
        whole = claude.messages.create(**fields)
        with claude.messages.stream(**fields) as stream:
            kinds = [item.type for item in stream]
            streamed = stream.get_final_message()
    for message in (whole, streamed):
        blocks: list[Any] = list(message.content)
        assert [block.type for block in blocks] == ["thinking", "text"]
        assert (blocks[0].thinking, blocks[1].text) == ("hm", "yes")
        assert message.stop_reason == "end_turn"
    assert kinds.count("thinking") == 2
    assert kinds.count("text") == 3


def test_responses_have_thoughts_as_items_of_their_own(thinker: Running) -> None:
    with thinker.client() as client:
        whole = client.responses.create(input="Well?", **DRAWN)
        events: list[Any] = list(client.responses.create(input="Well?", stream=True, **DRAWN))
    streamed: openai.types.responses.Response = events[-1].response
    for response in (whole, streamed):
        items: list[Any] = list(response.output)
        assert [item.type for item in items] == ["reasoning", "message"]
        assert (items[0].content[0].text, response.output_text) == ("hm", "yes")
        assert response.usage is not None
        assert response.usage.output_tokens_details.reasoning_tokens == 3
    said = [(item.type, item.delta) for item in events if item.type.endswith(".delta")]
    assert [text for kind, text in said if kind == "response.reasoning_text.delta"] == ["h", "m"]
    assert [text for kind, text in said if kind == "response.output_text.delta"] == list("yes")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/messages", {"thinking": {"type": "enabled", "budget_tokens": 1}}),
        ("/v1/chat/completions", {"thinking_budget": 1}),
        ("/v1/chat/completions", {"reasoning": {"max_tokens": 1}}),
    ],
    ids=str,
)
def test_a_thought_ends_with_its_budget(thinker: Running, path: str, fields: dict[str, Any]) -> None:
    answer = thinker.post(path, messages=ASK, temperature=0, max_tokens=20, **fields).json()
    if path == "/v1/messages":
        assert [block.get("thinking") or block["text"] for block in answer["content"]] == ["h", "yes"]
    else:
        message = answer["choices"][0]["message"]
        assert (message["reasoning_content"], message["content"]) == ("h", "yes")


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "none"},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}, "reasoning": {"effort": "high"}},
        {"reasoning": {"enabled": False}},
        {"thinking_budget": 0},
    ],
    ids=str,
)
def test_thinking_is_turned_off_by_any_name(thinker: Running, fields: dict[str, Any]) -> None:
    message = thinker.chat(messages=ASK, temperature=0, **fields).json()["choices"][0]["message"]
    assert (message.get("reasoning_content"), message["content"]) == (None, "yes")
