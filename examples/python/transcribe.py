"""Write down what is said in a recording: ``python transcribe.py talk.mp3``."""

import sys
from pathlib import Path

from mistralrs import ChatCompletionRequest, Runner, Which


def main(recording: str, model: str = "demo") -> None:
    """Any format, any rate; long recordings go to the model in windows."""
    with Runner(Which.MultimodalPlain(model)) as runner:
        request = ChatCompletionRequest("Which words are spoken?", audios=Path(recording), temperature=0)
        print(runner.send_chat_completion_request(request).text)


if __name__ == "__main__":
    main(*sys.argv[1:])
