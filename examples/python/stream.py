"""Show an answer while it is made: ``python stream.py "Who are you?"``."""

import sys

from mistralrs import ChatCompletionRequest, Runner, Which


def main(question: str, model: str = "demo") -> None:
    """Leaving the block early, by Ctrl-C say, stops the answer."""
    request = ChatCompletionRequest(question, temperature=0, stream=True)
    with Runner(Which.Plain(model)) as runner, runner.send_chat_completion_request(request) as chunks:
        for chunk in chunks:
            print(chunk.text, end="", flush=True)
            if chunk.usage:  # it comes with the last one
                print(f"\n{chunk.usage.avg_compl_tok_per_sec:.0f} tokens a second", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
