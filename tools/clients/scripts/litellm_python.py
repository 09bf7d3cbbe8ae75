"""litellm: three of its providers."""

import litellm
from steps import ASK_PICTURE, KEY, MODEL, URL, WEATHER, in_city, is_red_circle, picture, run, said, step

HI = [{"role": "user", "content": "What can you do?"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
litellm.suppress_debug_info = True


def provider(prefix, base):
    fields = {"model": f"{prefix}/{MODEL}", "api_base": base, "api_key": KEY}

    @step(f"{prefix}/: whole")
    def whole():
        said(litellm.completion(messages=HI, max_tokens=30, **fields).choices[0].message.content)

    @step(f"{prefix}/: stream")
    def stream():
        chunks = litellm.completion(messages=HI, max_tokens=30, stream=True, **fields)
        said("".join(chunk.choices[0].delta.content or "" for chunk in chunks))

    @step(f"{prefix}/: picture", media=True)
    def sees():
        content = [{"type": "text", "text": ASK_PICTURE}, {"type": "image_url", "image_url": {"url": picture()}}]
        done = litellm.completion(messages=[{"role": "user", "content": content}], max_tokens=30, **fields)
        is_red_circle(done.choices[0].message.content)

    @step(f"{prefix}/: tool and its result")
    def tools():
        done = litellm.completion(messages=HI, tools=[TOOL], tool_choice="required", max_tokens=200, **fields)
        message = done.choices[0].message
        assert message.tool_calls, f"no call, but {done.choices[0].finish_reason}"
        in_city(message.tool_calls[0].function.arguments)
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
        litellm.completion(messages=[*HI, message, result], tools=[TOOL], max_tokens=20, **fields)


provider("openai", f"{URL}/v1")
provider("hosted_vllm", f"{URL}/v1")
provider("anthropic", URL)


@step("anthropic/: prompt tokens are those of chat")
def usage():
    chat = litellm.completion(model=f"openai/{MODEL}", api_base=f"{URL}/v1", api_key=KEY, messages=HI, max_tokens=2)
    theirs = litellm.completion(model=f"anthropic/{MODEL}", api_base=URL, api_key=KEY, messages=HI, max_tokens=2)
    assert chat.usage.prompt_tokens == theirs.usage.prompt_tokens, (
        chat.usage.prompt_tokens,
        theirs.usage.prompt_tokens,
    )


@step("responses")
def responses():
    done = litellm.responses(model=f"openai/{MODEL}", input="hello", api_base=f"{URL}/v1", api_key=KEY)
    said(done.output[0].content[0].text)


run()
