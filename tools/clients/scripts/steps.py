"""What the scripts beside it share: where the server is, and one JSON line for each step that is tried.

It runs in the environment of the client, which knows nothing of mistralrs. Standard library only.
"""

import base64
import json
import os
import signal
import sys
import time
import warnings

URL = os.environ["MISTRALRS_URL"]
MEDIA = os.environ.get("MISTRALRS_MEDIA", "")
SECONDS = int(os.environ.get("MISTRALRS_STEP_SECONDS", "60"))
KEY = "EMPTY"
MODEL = "default"
STEPS = []
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
}
ASK_PICTURE = "What is in this picture?"
os.environ.setdefault("OPENAI_API_KEY", KEY)
os.environ.setdefault("ANTHROPIC_API_KEY", KEY)


def picture():
    """The red circle as a data: address."""
    return "data:image/png;base64," + encoded("red_circle.png")


def encoded(name):
    """A sample medium in base64."""
    with open(os.path.join(MEDIA, name), "rb") as file:
        return base64.b64encode(file.read()).decode()


def step(name, *, media=False):
    """Mark a function as a step; one that needs media is left out for a model that reads text only."""

    def marked(function):
        if MEDIA or not media:
            STEPS.append((name, function))
        return function

    return marked


def is_red_circle(text):
    """Check an answer about the picture."""
    assert "red" in text.lower() and "circle" in text.lower(), f"answered {text[:60]!r}"


def said(text):
    """Check that there is an answer."""
    assert isinstance(text, str) and text.strip(), f"answered {text!r}"


def in_city(arguments):
    """Check the arguments of a call."""
    found = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
    assert found.get("city") in ("Paris", "Rome"), f"called with {str(found)[:60]}"


def ended(number, frame):
    """A step that takes too long."""
    raise TimeoutError(f"not done after {SECONDS} s")


def run():
    """Try every step and tell of each."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, ended)
    for name, function in STEPS:
        begun = time.perf_counter()
        signal.alarm(SECONDS)
        try:
            function()
            problem = ""
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        finally:
            signal.alarm(0)
        told = {"step": name, "problem": problem, "seconds": round(time.perf_counter() - begun, 1)}
        print(json.dumps(told), file=sys.__stdout__, flush=True)
    os._exit(0)
