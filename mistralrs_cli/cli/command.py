"""Commands whose media keep their order across flags, and whose ``--help`` stands with the other options."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from typer import Context
from typer.core import TyperCommand, TyperGroup, TyperOption

from ..errors import MistralrsError, OptionError
from ..options import ModelOptions
from .argv import Arranged, Attachment, arrange
from .compat import coerce_plainly
from .config_file import ConfigFile, read_config
from .config_values import key_of
from .configured import Configured, located
from .defaults import Defaults, Found
from .given import model_options
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import OUTPUT

DEFAULTS = f"{__name__}.defaults"
GIVEN = f"{__name__}.given"
WITHOUT_DEFAULTS = ("config",)
"""The command that shows and edits the file, and takes nothing of it."""
DESPITE_ERRORS = ("doctor",)
"""The command that reports what is wrong with the file."""


Options = TypeVar("Options", ModelParams, HardwareParams)


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
            self.take_defaults(ctx, arranged.off)
            require_text(self.get_params(ctx), ctx.params)
        return rest

    def take_defaults(self, ctx: Any, off: frozenset[str]) -> None:
        """Fill in what the command line does not give; ``off`` are its flags with ``=false``."""
        options = [param for param in self.get_params(ctx) if isinstance(param, TyperOption)]
        given: dict[str, Any] = {}
        for option in options:
            if off.intersection(option.opts):
                given[key_of(option)] = ctx.params[option.name] = False
            elif is_given(ctx, option):
                given[key_of(option)] = ctx.params.get(option.name)
        command = ctx.command_path.split()[1:]
        if command[:1] == [*WITHOUT_DEFAULTS]:
            return
        try:
            file = read_config()
            found = Defaults(command, options, file, given, os.environ, ctx, ctx.find_root().command).found()
        except OptionError:
            if command != [*DESPITE_ERRORS]:
                raise
            return
        ctx.params |= {name: each.value for name, each in found.items()}
        ctx.meta[DEFAULTS] = (found, file)
        ctx.meta[GIVEN] = given

    def invoke(self, ctx: Any) -> Any:
        """Call the command, which returns its job."""
        found: dict[str, Found]
        file: ConfigFile | None
        found, file = ctx.meta.get(DEFAULTS, ({}, None))
        if file is None:
            return super().invoke(ctx)
        try:
            job = super().invoke(ctx)
        except MistralrsError as error:
            raise located(error, found) from error.__cause__
        return job if isinstance(job, int) or not found else Configured(job, found, file)

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


def is_given(ctx: Any, option: TyperOption) -> bool:
    """Whether an option stands on the command line."""
    source = ctx.get_parameter_source(option.name)
    return source is not None and source.name == "COMMANDLINE"


def from_file(ctx: Context) -> frozenset[str]:
    """The options, by key, whose values come from the configuration file."""
    found: dict[str, Found] = ctx.meta.get(DEFAULTS, ({}, None))[0]
    return frozenset(each.key for each in found.values() if each.in_file)


def options_for(ctx: Context, name: str, model: ModelParams, hardware: HardwareParams) -> ModelOptions:
    """How one of several models is loaded: as the command line says, else as the tables for this one do.

    ``model`` and ``hardware`` are the command's own options. Raises ``OptionError``.
    """
    found: dict[str, Found]
    found, file = ctx.meta[DEFAULTS]
    options: Any = [option for option in ctx.command.params if isinstance(option, TyperOption)]
    values = {option.name: option.default for option in options if option.name in found}
    given = ctx.meta[GIVEN] | {"model_id": name}
    command = ctx.command_path.split()[1:]
    own = Defaults(command, options, file, given, os.environ, ctx, ctx.find_root().command).found()
    found |= {f"{name} {option}": each for option, each in own.items()}
    values |= {option: each.value for option, each in own.items()}
    return replace(model_options(with_values(model, values), with_values(hardware, values)), model_id=name)


def with_values(group: Options, values: Mapping[str, Any]) -> Options:
    """A group of options with those of these values that it has."""
    return replace(group, **{each.name: values[each.name] for each in fields(group) if each.name in values})


def given_media(ctx: Context) -> tuple[tuple[Attachment, str], ...]:
    """The media and texts of a command line, in the order given."""
    arranged: Arranged = ctx.meta[__name__]
    return arranged.media
