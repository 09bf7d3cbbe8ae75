"""The clients, and an environment for each, in a folder outside the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
INSTALLING = 600  # seconds


@dataclass(frozen=True)
class Client:
    """One client: what to install, and the script that tries it. The first package's version is shown."""

    name: str
    packages: tuple[str, ...]
    script: str
    arguments: tuple[str, ...] = ()

    @property
    def node(self) -> bool:
        """Whether it is a package of Node's."""
        return self.script.endswith(".mjs")


CLIENTS = (
    Client("openai", ("openai",), "openai_python.py"),
    Client("anthropic", ("anthropic",), "anthropic_python.py"),
    Client("litellm", ("litellm",), "litellm_python.py"),
    Client("langchain-openai", ("langchain-openai",), "langchain_python.py", ("openai",)),
    Client("langchain-anthropic", ("langchain-anthropic",), "langchain_python.py", ("anthropic",)),
    Client("llama-index-llms-openai-like", ("llama-index-llms-openai-like",), "llama_index_python.py"),
    Client("pydantic-ai", ("pydantic-ai-slim", "openai"), "pydantic_ai_python.py"),
    Client("instructor", ("instructor",), "instructor_python.py"),
    Client("openai-agents", ("openai-agents",), "agents_python.py"),
    Client("haystack-ai", ("haystack-ai",), "haystack_python.py"),
    Client("smolagents", ("smolagents", "openai"), "smolagents_python.py"),
    Client("llm", ("llm",), "llm_python.py"),
    Client("lm-eval", ("lm-eval[api]", "transformers"), "lm_eval_python.py"),
    Client("llm-comply (published descriptions)", ("llm-comply", "jsonschema"), "descriptions_python.py"),
    Client("openai (npm)", ("openai", "zod"), "openai_node.mjs"),
    Client("@anthropic-ai/sdk (npm)", ("@anthropic-ai/sdk",), "anthropic_node.mjs"),
    Client(
        "ai (npm)",
        ("ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic", "zod"),
        "ai_node.mjs",
    ),
    Client("@langchain/openai (npm)", ("@langchain/openai", "@langchain/core", "zod"), "langchain_node.mjs"),
)


class NotInstalled(Exception):
    """A client that could not be had, and why."""


@dataclass(frozen=True)
class Environment:
    """An installed client."""

    client: Client
    folder: Path

    @property
    def command(self) -> list[str]:
        """What runs the client's script."""
        if self.client.node:  # modules are looked for beside the script
            return ["node", str(self.folder / self.client.script), *self.client.arguments]
        return [str(self.folder / "bin" / "python"), str(SCRIPTS / self.client.script), *self.client.arguments]

    @property
    def version(self) -> str:
        """The version of the client that is there."""
        package = self.client.packages[0].partition("[")[0]
        if self.client.node:
            told = json.loads((self.folder / "node_modules" / package / "package.json").read_text(encoding="utf-8"))
            return str(told["version"])
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return subprocess.run(
            [self.folder / "bin" / "python", "-c", code], capture_output=True, text=True
        ).stdout.strip()


def environment(client: Client, cache: Path, *, upgrade: bool = False) -> Environment:
    """The client's environment, made where it is missing. Raises ``NotInstalled``."""
    folder = cache / client.script.partition(".")[0] if not client.arguments else cache / client.name
    stamp = folder / ".installed"
    found = Environment(client, folder)
    if upgrade or not stamp.exists() or stamp.read_text(encoding="utf-8") != " ".join(client.packages):
        folder.mkdir(parents=True, exist_ok=True)
        if client.node:
            install_node(client, folder)
        else:
            install_python(client, folder)
        stamp.write_text(" ".join(client.packages), encoding="utf-8")
    if client.node:
        for script in (client.script, "steps.mjs"):
            shutil.copy(SCRIPTS / script, folder / script)
    return found


def install_python(client: Client, folder: Path) -> None:
    """A virtual environment of its own with the newest versions."""
    if not (folder / "bin" / "python").exists():
        done([sys.executable, "-m", "venv", str(folder)], folder)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-compile", "--upgrade"]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", *quiet]
    done([*pip, *client.packages], folder)


def install_node(client: Client, folder: Path) -> None:
    """A folder with the newest versions."""
    if shutil.which("npm") is None:
        raise NotInstalled("npm is missing")
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    done(["npm", "install", *quiet, *(f"{package}@latest" for package in client.packages)], folder)


def done(command: list[str], folder: Path) -> None:
    """Run a step of an installation. Raises ``NotInstalled`` with the last line it said."""
    try:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALLING, env=os.environ | {"CI": "1"}
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"not installed after {INSTALLING} s") from error
    if ran.returncode:
        lines = (ran.stderr or ran.stdout).strip().splitlines() or ["no word"]
        raise NotInstalled(lines[-1][-160:])
