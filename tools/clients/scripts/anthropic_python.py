"""anthropic: messages, streams, pictures, tools, thinking, counting."""

import anthropic
from steps import ASK_PICTURE, KEY, MODEL, URL, WEATHER, encoded, in_city, is_red_circle, run, said, step

client = anthropic.Anthropic(api_key=KEY, base_url=URL, max_retries=0)
HI = [{"role": "user", "content": "What can you do?"}]
TOOLS = [{"name": "get_weather", "description": "Weather.", "input_schema": WEATHER}]
CACHED = {"type": "ephemeral"}


@step("message")
def message():
    said(client.messages.create(model=MODEL, max_tokens=30, messages=HI).content[0].text)


@step("stream helper")
def stream():
    with client.messages.stream(model=MODEL, max_tokens=30, messages=HI) as events:
        said("".join(events.text_stream))
        assert events.get_final_message().usage.output_tokens


@step("picture", media=True)
def sees():
    source = {"type": "base64", "media_type": "image/png", "data": encoded("red_circle.png")}
    content = [{"type": "image", "source": source}, {"type": "text", "text": ASK_PICTURE}]
    done = client.messages.create(model=MODEL, max_tokens=30, messages=[{"role": "user", "content": content}])
    is_red_circle(done.content[0].text)


@step("system blocks, cache_control, metadata, stop_sequences")
def extras():
    client.messages.create(
        model=MODEL,
        max_tokens=10,
        messages=HI,
        system=[{"type": "text", "text": "Be brief.", "cache_control": CACHED}],
        metadata={"user_id": "u"},
        stop_sequences=["zzz"],
    )


@step("thinking with a budget, and adaptive")
def thinking():
    for thought in ({"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}):
        client.messages.create(model=MODEL, max_tokens=1100, messages=HI, thinking=thought, stop_sequences=["."])


@step("context_management, effort, strict tools (beta)")
def beta():
    client.beta.messages.create(
        model=MODEL,
        max_tokens=10,
        messages=HI,
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        output_config={"effort": "low"},
        tools=[TOOLS[0] | {"strict": True, "cache_control": CACHED}],
    )


@step("tool, forced, and its result")
def tools():
    done = client.messages.create(
        model=MODEL, max_tokens=200, messages=HI, tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"}
    )
    call = next((block for block in done.content if block.type == "tool_use"), None)
    assert call is not None, f"no call, but {done.stop_reason}"
    in_city(call.input)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [*HI, {"role": "assistant", "content": done.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(model=MODEL, max_tokens=20, messages=turns, tools=TOOLS).stop_reason


@step("an answer continued")
def continued():
    done = client.messages.create(
        model=MODEL, max_tokens=8, messages=[*HI, {"role": "assistant", "content": "I can talk"}]
    )
    assert done.content[0].text[:1] in " ,.", f"answered {done.content[0].text!r}"


@step("usage adds up over the cache")
def usage():
    counted = client.messages.count_tokens(model=MODEL, messages=HI).input_tokens
    for _ in range(2):
        used = client.messages.create(model=MODEL, max_tokens=2, messages=HI).usage
        assert used.input_tokens + (used.cache_read_input_tokens or 0) == counted, used


@step("models")
def models():
    assert next(iter(client.models.list())).id


run()
