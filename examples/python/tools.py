"""Let a model call a function, and answer with its result: ``python tools.py "What is the weather in Rome?" MODEL``.

The demo model knows no tools, so a call is required here; a model that knows some decides by itself with ``"auto"``.
"""

import json
import sys

from mistralrs import ChatCompletionRequest, Runner, Which

WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def weather(city: str) -> str:
    """What the function does."""
    return {"Rome": "sunny", "Oslo": "snow"}[city]


def main(question: str, model: str = "demo", choice: str = "required") -> None:
    """Ask, call, ask again."""
    messages: list[dict[str, object]] = [{"role": "user", "content": question}]
    with Runner(Which.Plain(model)) as runner:
        request = ChatCompletionRequest(messages, tool_schemas=[WEATHER], tool_choice=choice, max_tokens=80, seed=1)
        message = runner.send_chat_completion_request(request).choices[0].message
        for call in message.tool_calls or []:
            result = weather(**json.loads(call.function.arguments))
            print(f"{call.function.name}({call.function.arguments}) = {result}")


if __name__ == "__main__":
    main(*sys.argv[1:])
