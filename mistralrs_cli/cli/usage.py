"""What to type instead of a command line that cannot be parsed."""

import typer


def advice(error: typer.TyperException) -> tuple[str, str]:
    """The message and the hint for a usage error."""
    ctx: typer.Context | None = getattr(error, "ctx", None)
    program = ctx.command_path if ctx is not None else "mistralrs"
    help_hint = f"{program} --help shows how it is used."
    option: str | None = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and option is not None:
        similar: list[str] = getattr(error, "possibilities", None) or []
        if similar:
            help_hint = f"Did you mean {similar[0]}?"
        elif ctx is not None and ctx.parent is None:
            help_hint = f"Options follow a command: {program} run {option} …"
        return f"There is no option {option}.", help_hint
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    return message if message.endswith(("?", ".")) else f"{message}.", help_hint
