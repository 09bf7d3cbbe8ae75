"""instructor: its modes."""

from typing import Literal

import instructor
import openai
from pydantic import BaseModel
from steps import KEY, MODEL, URL, picture, run, step


class Color(BaseModel):
    """A color."""

    color: Literal["red", "blue"]


def mode(name, ask=None):
    @step(name)
    def answer():
        client = instructor.from_openai(
            openai.OpenAI(api_key=KEY, base_url=f"{URL}/v1"), mode=getattr(instructor.Mode, name)
        )
        messages = [{"role": "user", "content": ask() if ask else "Which color?"}]
        found = client.create(model=MODEL, response_model=Color, messages=messages, max_retries=0, max_tokens=200)
        assert found.color in ("red", "blue")


for name in ("TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA", "MD_JSON", "RESPONSES_TOOLS"):
    mode(name)


@step("picture", media=True)
def sees():
    client = instructor.from_openai(openai.OpenAI(api_key=KEY, base_url=f"{URL}/v1"), mode=instructor.Mode.JSON_SCHEMA)
    content = ["Which color has the circle?", instructor.Image.from_base64(picture())]
    messages = [{"role": "user", "content": content}]
    assert client.create(model=MODEL, response_model=Color, messages=messages, max_tokens=200).color == "red"


run()
