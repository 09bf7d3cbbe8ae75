"""smolagents: the model and its agents."""

from smolagents import CodeAgent, OpenAIServerModel, ToolCallingAgent, tool
from steps import ASK_PICTURE, KEY, MODEL, URL, is_red_circle, picture, run, said, step

model = OpenAIServerModel(model_id=MODEL, api_base=f"{URL}/v1", api_key=KEY, max_tokens=200)
HI = [{"role": "user", "content": [{"type": "text", "text": "What can you do?"}]}]


@tool
def get_weather(days: int) -> str:
    """The weather of some days.

    Args:
        days: How many.
    """
    return "sunny"


@step("generate")
def generate():
    said(model.generate(HI).content)


@step("stream")
def stream():
    said("".join(delta.content or "" for delta in model.generate_stream(HI)))


@step("picture", media=True)
def sees():
    content = [{"type": "text", "text": ASK_PICTURE}, {"type": "image_url", "image_url": {"url": picture()}}]
    is_red_circle(model.generate([{"role": "user", "content": content}]).content)


@step("tools")
def tools():
    calls = model.generate(HI, tools_to_call_from=[get_weather]).tool_calls
    assert calls, "no call"


@step("both agents run")
def agents():
    for kind in (ToolCallingAgent, CodeAgent):
        kind(tools=[get_weather], model=model, max_steps=1, verbosity_level=0).run("What is the weather?")


run()
