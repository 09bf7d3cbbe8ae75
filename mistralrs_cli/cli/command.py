"""Commands whose media keep their order across flags, and whose ``--help`` stands with the other options."""

from collections.abc import Iterable, Mapping
from typing import Any

from typer import Context
from typer.core import TyperCommand, TyperGroup, TyperOption

from ..errors import OptionError
from .argv import Arranged, Attachment, arrange
from .compat import coerce_plainly
from .params.option import OUTPUT


class Command(TyperCommand):
    """Arranges its words before they are parsed, and keeps the media for ``given_media``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arranged words; shell completion sees them as they were typed."""
        if not ctx.resilient_parsing:
            options = {
                name: not param.is_flag
                for param in self.get_params(ctx)
                if isinstance(param, TyperOption)
                for name in (*param.opts, *param.secondary_opts)
            }
            arranged = arrange(args, options)
            ctx.meta[__name__] = arranged
            args = arranged.words
            coerce_plainly(self.get_params(ctx))
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            require_text(self.get_params(ctx), ctx.params)
        return rest

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """``--help``, in the last panel."""
        return tidied(super().get_help_option(ctx), OUTPUT)


class Group(TyperGroup):
    """A group of commands. Without arguments it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words that come before the command."""
        return super().parse_args(ctx, args or ["--help"])

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """``--help``, as the other options look."""
        return tidied(super().get_help_option(ctx), None)


def require_text(parameters: Iterable[Any], values: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` for words with bytes that are not UTF-8; the names of files may have any."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.metavar in ("TEXT", "R"):
            given = values.get(parameter.name or "")
            for text in given if isinstance(given, list) else [given or ""]:
                if any("\ud800" <= letter <= "\udfff" for letter in text):
                    raise OptionError(
                        f"{parameter.opts[0]} is not UTF-8 text.",
                        "Use a UTF-8 terminal, or convert the text: iconv -f latin1 -t utf-8",
                    )


def tidied(option: TyperOption | None, panel: str | None) -> TyperOption | None:
    """The help option without a type shown, and with a default: Typer imports pydantic to check a missing value."""
    if option is not None:
        option.default = False
        option.metavar = ""
        option.help = "Show this and exit."
        option.rich_help_panel = panel
    return option


def given_media(ctx: Context) -> tuple[tuple[Attachment, str], ...]:
    """The media and texts of a command line, in the order given."""
    arranged: Arranged = ctx.meta[__name__]
    return arranged.media
