"""What to type instead of a command line that cannot be parsed."""

import typer


def advice(error: typer.TyperException) -> tuple[str, str]:
    """The message and the hint for a usage error."""
    message = error.format_message().removesuffix(".")
    ctx: typer.Context | None = getattr(error, "ctx", None)
    program = ctx.command_path if ctx is not None else "mistralrs"
    help_hint = f"{program} --help lists what there is."
    option: str | None = getattr(error, "option_name", None)
    if type(error).__name__ != "NoSuchOption" or option is None:
        return message + ".", help_hint
    similar: list[str] = getattr(error, "possibilities", None) or []
    message = f"There is no option {option}."
    if similar:
        return message, f"Did you mean {' or '.join(similar)}?"
    if ctx is not None and ctx.parent is None:
        return message, f"Options follow a command: {program} run {option} …"
    return message, help_hint
