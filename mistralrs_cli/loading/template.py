"""Which chat template is used: what the user names wins over what the checkpoint brings."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import TemplateError
from ..options import ModelOptions


def override(options: ModelOptions) -> str | None:
    """The text of the template named by ``--jinja-explicit``, else by ``--chat-template``, else ``None``.

    A ``.json`` file holds it under ``chat_template``. Raises ``TemplateError`` with line number where it does not
    compile, and where the file is missing.
    """
    name = options.jinja_explicit or options.chat_template
    if name is None:
        return None
    path = Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(
            f"The chat template {name} cannot be read: {error}", "Name a .jinja or .json file."
        ) from error
    if path.suffix == ".json":
        text = from_json(name, text)
    compile_template(name, text)
    return text


def from_json(name: str, text: str) -> str:
    """The ``chat_template`` entry of a JSON file."""
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise TemplateError(f"{name} is not JSON: {error}", "Give a bare template the suffix .jinja.") from error
    template = loaded.get("chat_template") if isinstance(loaded, dict) else None
    if not isinstance(template, str):
        raise TemplateError(f"{name} has no text under chat_template.", 'Write {"chat_template": "…"}.')
    return template


def compile_template(name: str, text: str) -> None:
    """Refuse a template that is not valid Jinja, naming the line."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{name}, line {error.lineno}: {error.message}", "Mend the template.") from error
