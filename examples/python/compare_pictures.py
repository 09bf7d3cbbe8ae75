"""Say what changed between two pictures; their order counts: ``python compare_pictures.py before.png after.png``."""

import sys
from pathlib import Path
from typing import Any

from mistralrs import ChatCompletionRequest, Runner, Which


def main(before: str, after: str, model: str = "demo") -> None:
    """The follow-up reuses what the first question has left in the cache."""
    content = [Path(before), Path(after), "What changed between these images?"]
    with Runner(Which.MultimodalPlain(model)) as runner:
        messages: list[Any] = [{"role": "user", "content": content}]
        answer = runner.send_chat_completion_request(ChatCompletionRequest(messages, temperature=0))
        print(answer.text)
        messages += [
            answer.choices[0].message,
            {"role": "user", "content": "What colour is it in the second picture?"},
        ]
        answer = runner.send_chat_completion_request(ChatCompletionRequest(messages, temperature=0))
        print(answer.text)
        print(f"{answer.usage.prompt_tokens_details['cached_tokens']} tokens reused", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
