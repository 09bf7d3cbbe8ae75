"""What to type instead of a command line that cannot be parsed."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption

from ..errors import OptionError
from ..media.suffixes import CERTAIN, suffix_of
from .argv import KINDS
from .synonyms import COMMANDS, EXAMPLES, OPTIONS

LIKE = 0.72
"""How alike (``difflib.SequenceMatcher.ratio``) a name must be to be what was meant."""


def in_our_words(error: typer.TyperException, group: TyperGroup, words: Sequence[str]) -> OptionError:
    """The error for a command line, ``words``, that the parser of ``group`` refused."""
    path, command = command_of(group, words)
    name = type(error).__name__
    option: str | None = getattr(error, "option_name", None)
    if name == "NoSuchOption" and option is not None:
        return OptionError(f"There is no option {option}.", instead_of(option, path, command, group))
    if name == "BadOptionUsage" and option is not None:
        return needs_value(option, path, command, error)
    parameter: Any = getattr(error, "param", None)
    if name == "MissingParameter" and parameter is not None:
        return missing(parameter, path)
    if parameter is not None:
        return OptionError(f"{label(parameter)} {wanted(error)}", f"{path} --help says what it takes.")
    if isinstance(command, TyperGroup):
        return no_command(path, command, words)
    if path == "mistralrs run" and (first := words[1:2]) and first[0] not in KINDS and not first[0].startswith("-"):
        return unexpected(first[0], path, after=leftover(error, words))
    return unexpected(leftover(error, words), path)


def command_of(group: TyperGroup, words: Sequence[str]) -> tuple[str, Any]:
    """What was typed of the commands, ``mistralrs cache list``, and the command that is."""
    path, command = "mistralrs", group
    for word in words:
        below = command.commands.get(word) if isinstance(command, TyperGroup) else None
        if below is None:
            break
        path, command = f"{path} {word}", below  # type: ignore[assignment]
    return path, command


def options_of(command: Any) -> dict[str, TyperOption]:
    """The options of a command by their names."""
    return {
        name: parameter
        for parameter in command.params
        if isinstance(parameter, TyperOption)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def instead_of(option: str, path: str, command: Any, group: TyperGroup) -> str:
    """A hint for an option that a command has not got."""
    known = options_of(command)
    if isinstance(command, TyperGroup):
        return f"Options follow a command: {path} {next(iter(command.commands))} {option} …"
    synonym = OPTIONS.get(plain(option))
    if synonym is not None:
        meant = synonym.split()[0].partition("=")[0]
        if not synonym.startswith("-") or len(synonym.split()) > 2:
            return synonym
        if meant in known:
            return f"Did you mean {synonym}?"
    close = get_close_matches(option, [each for each in known if each.startswith("--")], n=1, cutoff=LIKE)
    if close:
        return f"Did you mean {close[0]}?"
    others = [name for name, other in group.commands.items() if option in options_of(other)]
    if others:
        return f"It belongs to another command: mistralrs {others[0]} {option} …"
    return f"{path} --help lists its options."


def plain(option: str) -> str:
    """An option's name as the table of synonyms has it: ``--max_new_tokens`` is ``max-new-tokens``."""
    return option.lstrip("-").lower().replace("_", "-") if option.startswith("--") else option


def label(parameter: Any) -> str:
    """A parameter's long name, or the metavar of an argument."""
    if not isinstance(parameter, TyperOption):
        return str(parameter.metavar or parameter.name)
    return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])


def needs_value(option: str, path: str, command: Any, error: Exception) -> OptionError:
    """The error for an option without its value, or with one that it does not take."""
    if "does not take" in str(error):
        return OptionError(f"{option} takes no value.", f"Write {option} alone.")
    return OptionError(f"{option} needs a value.", for_example(option, path, options_of(command).get(option)))


def for_example(option: str, path: str, parameter: Any) -> str:
    """How an option is used, and where to read on."""
    name = "" if parameter is None else label(parameter)
    example = EXAMPLES.get(f"{path} {name}") or EXAMPLES.get(name)
    shown = f"For example: {path} {option} {example}; " if example else ""
    return f"{shown}{path} --help lists all options."


def missing(parameter: Any, path: str) -> OptionError:
    """The error for a missing argument or option."""
    hint = EXAMPLES.get(path, f"{path} --help says how it is used.")
    return OptionError(f"{path} needs {label(parameter).removesuffix('...')}.", hint)


def wanted(error: Exception) -> str:
    """What is wrong with a value: ``must be a whole number, not "many".``."""
    cause: Any = error.__cause__
    if cause is None or not hasattr(cause, "errors"):
        return str(error)
    found = cause.errors()[0]
    value = str(found["input"])
    shown = f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'
    kind = str(found["type"])
    if choices := re.findall("'([^']*)'", str(found["msg"]).partition("is not one of")[2]):
        return f"must be {', '.join(choices[:-1])} or {choices[-1]}, not {shown}."
    if kind.startswith("int"):
        return f"must be a whole number, not {shown}."
    if kind.startswith("float"):
        return f"must be a number, not {shown}."
    return f"does not take {shown}."


def no_command(path: str, group: TyperGroup, words: Sequence[str]) -> OptionError:
    """The error for an unknown command."""
    depth = len(path.split()) - 1
    word = next((word for word in words[depth:] if not word.startswith("-")), "")
    if not word:
        return OptionError(f"{path} needs a command.", f"{path} --help lists them.")
    message = f"There is no command {word}." if len(word) <= 60 else "That is no command."
    if depth == 0:
        rest = [each for each in words[words.index(word) + 1 :] if each in group.commands]
        if word == "help":
            return OptionError(message, f"{path} {f'{rest[0]} ' if rest else ''}--help")
        if word in COMMANDS:
            return OptionError(message, COMMANDS[word])
    close = get_close_matches(word.lower(), list(group.commands), n=1, cutoff=0.6)
    if close:
        return OptionError(message, f"Did you mean {path} {close[0]}?")
    if depth == 0 and (hint := placed(word)) is not None:
        return OptionError(message, hint)
    return OptionError(message, f"{path} --help lists the commands.")


def leftover(error: Exception, words: Sequence[str]) -> str:
    """The first of the words that were too many: the parser lists them all in its message."""
    listed = str(error).partition("argument(s) (")[2].rpartition(")")[0]
    return next((word for word in words if word and listed.startswith(word)), listed)


def unexpected(word: str, path: str, after: str = "") -> OptionError:
    """The error for an unexpected argument; ``after`` follows it, as in ``ollama run MODEL PROMPT``."""
    general = {
        "mistralrs run": "Media go after --image, --audio or --video, a question after -i, a model after -m.",
        "mistralrs serve": "serve takes a model after -m, and no other words.",
    }
    hint = placed(word, path) if path in general else None
    if hint is None and after:
        hint = f'A model goes after -m, a question after -i: {path} -m {word} -i "{after}"'
    return OptionError(f"Unexpected argument: {word}", hint or general.get(path, f"{path} --help says how it is used."))


def placed(word: str, path: str = "mistralrs run") -> str | None:
    """Which option an argument belongs to that looks like a model, a medium or a question."""
    if path == "mistralrs serve":
        return f"A model goes after -m: mistralrs serve -m {word}" if " " not in word and "/" in word else None
    kind = CERTAIN.get(suffix_of(word))
    if kind is not None:
        quoted = f'"{word}"' if " " in word else word
        return f'Media go after --image, --audio or --video: {path} --{kind} {quoted} -i "What is this?"'
    if " " in word:
        return f'A question goes after -i, media after --image, --audio or --video: {path} -i "{word}"'
    if (word.count("/") == 1 and not word.startswith((".", "/", "~"))) or Path(word).is_dir():
        return f"A model goes after -m: {path} -m {word}"
    return None
