"""Answers that are always JSON of a given form: ``python json_out.py receipt.jpg``."""

import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from mistralrs import AnswerCut, ChatCompletionRequest, Runner, Which


class Seen(BaseModel):
    """What the answer holds, whatever the model would rather say."""

    colour: Literal["red", "green", "blue", "other"]
    count: int = Field(ge=0, le=9)


def main(picture: str, model: str = "demo") -> None:
    """An answer that ends at ``max_tokens`` is not whole: ``parse`` raises instead of giving half of it."""
    request = ChatCompletionRequest(
        "Which colour is it, and how many are there?",
        images=Path(picture),
        response_format=Seen,
        temperature=0,
        max_tokens=60,
    )
    with Runner(Which.MultimodalPlain(model)) as runner:
        try:
            print(runner.send_chat_completion_request(request).parse(Seen).model_dump())
        except AnswerCut as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
