"""Which chat template is used: what the user names wins over what the checkpoint brings."""

from __future__ import annotations

import json
from typing import Any

from ..errors import OptionError
from ..families import Family
from ..named_files import named_text, position
from ..options import ModelOptions
from ..resources import bundled_names, named_file
from .template_syntax import compile_template

FOLDER = "chat_templates"
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token")


def override(options: ModelOptions) -> str | None:
    """The text of the template named by ``--jinja-explicit``, else by ``--chat-template``, else ``None``.

    A file of the user's comes first, then a bundled one of that name. A ``.json`` file holds the template under
    ``chat_template``, and may name special tokens for it. Raises ``OptionError`` with line and column where one
    does not compile, and where the file is missing.
    """
    named = {"--chat-template": options.chat_template, "--jinja-explicit": options.jinja_explicit}
    texts = [read_template(name, option) for option, name in named.items() if name is not None]
    return texts[-1] if texts else None


def family_template(family: Family) -> str | None:
    """The bundled template for a family whose checkpoints may bring none."""
    return None if family.bundled_template is None else read_template(family.bundled_template)


def read_template(name: str, option: str = "--chat-template") -> str:
    """The text of a template file, compiled once to see that it can be."""
    path = named_file(FOLDER, name)
    hint = f"Name a .jinja or .json file, or a bundled one: {', '.join(bundled_names(FOLDER))}"
    text = named_text(option, name, hint, path)
    if path.suffix == ".json":
        text = from_json(name, text)
    compile_template(name, text)
    return text


def from_json(name: str, text: str) -> str:
    """The ``chat_template`` entry of a JSON file, with the special tokens beside it set as variables."""
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise OptionError(f"{name} is not JSON{position(error)}.", "Give a bare template the suffix .jinja.") from error
    template = loaded.get("chat_template") if isinstance(loaded, dict) else None
    if not isinstance(template, str):
        raise OptionError(f"{name} has no text under chat_template.", 'Write {"chat_template": "…"}.')
    named = {key: token_text(loaded[key]) for key in SPECIAL_TOKENS if loaded.get(key) is not None}
    if unusable := [key for key, token in named.items() if token is None]:
        raise OptionError(f"{name}: {unusable[0]} is not text.", f'Write "{unusable[0]}": "…".')
    settings = "".join(f"{{% set {key} = {json.dumps(token)} %}}" for key, token in named.items())
    return settings + "{{ '' }}" + template if settings else template  # a newline after a tag would be eaten


def token_text(token: Any) -> str | None:
    """A special token as text; tokenizer files write some as ``{"content": "<s>", …}``."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
