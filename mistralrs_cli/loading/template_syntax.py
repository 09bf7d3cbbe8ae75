"""How a chat template is parsed: whether it is valid Jinja, where it is not, and what it reads from outside."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import OptionError

if TYPE_CHECKING:
    from jinja2 import Environment


def compile_template(name: str, text: str) -> None:
    """Refuse a template that does not compile, naming line and column."""
    from jinja2 import TemplateSyntaxError

    environment = template_environment()
    try:
        environment.compile(text)
    except TemplateSyntaxError as error:
        column = column_of_error(environment, text)
        where = f"line {error.lineno}" + ("" if column is None else f", column {column}")
        raise OptionError(f"{name}, {where}: {error.message}", "Fix the template there.") from error


@lru_cache(maxsize=8)
def template_variables(text: str) -> frozenset[str] | None:
    """The names that a template reads from outside; ``None`` where it does not compile here."""
    from jinja2 import TemplateError, meta

    try:
        return frozenset(meta.find_undeclared_variables(template_environment().parse(text)))
    except TemplateError:
        return None


def template_environment() -> Environment:
    """Jinja as transformers sets it up for chat templates: sandboxed, and with the tags of templates for training."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks the words to learn in training; here it is only passed over."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )


def column_of_error(environment: Environment, text: str) -> int | None:
    """The column, from 1, of the token at which parsing stops, or ``None`` where no single token is at fault.

    Jinja itself keeps lines only. Its parser says how many tokens it left, so the token is found by counting.
    """
    from jinja2 import TemplateSyntaxError
    from jinja2.lexer import ignored_tokens
    from jinja2.parser import Parser

    try:
        raw = [
            value
            for _, kind, value in environment.lexer.tokeniter(text, None)
            if kind not in ignored_tokens and kind not in ("raw_begin", "raw_end")
        ]
        parser = Parser(environment, text)
    except TemplateSyntaxError:  # a character that begins no token
        return None
    try:
        parser.parse()
    except TemplateSyntaxError:
        index = len(raw) - sum(1 for _ in parser.stream)
        end = 0
        for value in raw[: index + 1]:
            start = text.find(value, end)
            end = start + len(value)
        return start - text.rfind("\n", 0, start) if index < len(raw) else None
    return None  # it parses, but names an unknown filter or test
