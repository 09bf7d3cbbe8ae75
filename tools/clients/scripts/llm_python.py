"""llm: the command, with a model of its own configuration file."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from steps import ASK_PICTURE, KEY, MEDIA, MODEL, URL, is_red_circle, run, said, step

FOLDER = tempfile.mkdtemp()
Path(FOLDER, "extra-openai-models.yaml").write_text(
    f"""
- model_id: here
  model_name: {MODEL}
  api_base: "{URL}/v1"
  api_key_name: here
  vision: true
  audio: true
  supports_tools: true
  supports_schema: true
"""
)


def llm(*words):
    command = [str(Path(sys.executable).parent / "llm"), "-m", "here", "--key", KEY, *words]
    done = subprocess.run(
        command, env={**os.environ, "LLM_USER_PATH": FOLDER}, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr.strip()[-100:]
    return done.stdout


@step("prompt, and -c")
def prompt():
    said(llm("What can you do?", "-o", "max_tokens", "30"))
    said(llm("-c", "Go on.", "-o", "max_tokens", "30"))


@step("--no-stream")
def whole():
    said(llm("--no-stream", "What can you do?", "-o", "max_tokens", "30"))


@step("picture and sound", media=True)
def sees():
    is_red_circle(llm(ASK_PICTURE, "-a", f"{MEDIA}/red_circle.png"))
    said(llm("How many beeps do you hear?", "-a", f"{MEDIA}/beeps.wav"))


@step("--schema")
def schema():
    said(json.loads(llm("Which?", "--schema", "color", "-o", "max_tokens", "300"))["color"])


@step("tools")
def tools():
    said(
        llm(
            "What can you do?",
            "--functions",
            "def weather(days: int) -> str:\n    return 'sunny'",
            "-o",
            "max_tokens",
            "60",
        )
    )


run()
