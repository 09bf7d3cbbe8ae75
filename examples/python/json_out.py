"""Answers that are always JSON of a given form: ``python json_out.py receipt.jpg``."""

import json
import sys
from pathlib import Path

from mistralrs import ChatCompletionRequest, Runner, Which

SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "green", "blue", "other"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["colour", "count"],
    "additionalProperties": False,
}


def main(picture: str, model: str = "demo") -> None:
    """The grammar holds, whatever the model would rather say."""
    request = ChatCompletionRequest(
        "Which colour is it, and how many are there?",
        images=[Path(picture)],
        grammar=json.dumps(SCHEMA),
        grammar_type="json_schema",
        temperature=0,
        max_tokens=60,
    )
    with Runner(Which.MultimodalPlain(model)) as runner:
        print(json.loads(runner.send_chat_completion_request(request).choices[0].message.content))


if __name__ == "__main__":
    main(*sys.argv[1:])
