"""Text files that an option names: read once, with one way of saying that one cannot be."""

from difflib import get_close_matches
from json import JSONDecodeError
from pathlib import Path

from .errors import OptionError, reason
from .resources import decoded


def named_text(option: str, name: str, hint: str | None = None, path: Path | None = None) -> str:
    """The text of the file ``name`` after ``option``; ``path`` is where it lies, if not just there.

    A byte order mark is no part of it. Raises ``OptionError`` with a file of nearly that name, else ``hint``.
    """
    hint = hint or f"Check the path after {option}."
    try:
        path = path or Path(name).expanduser()
        return decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        raise OptionError(f"{option}: {name} is not UTF-8 text.", hint) from error
    except FileNotFoundError as error:
        close = nearby(path or Path(name))
        raise OptionError(
            f"{option}: there is no file {name}.", f"Did you mean {close}?" if close is not None else hint
        ) from error
    except (OSError, ValueError, RuntimeError) as error:  # a null byte in the name, or no such home
        raise OptionError(f"{option}: {name} cannot be read: {reason(error)}.", hint) from error


def nearby(path: Path) -> str | None:
    """The path of a file in the same folder that has nearly the same name."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return str(path.with_name(close[0])) if close else None


def position(error: ValueError) -> str:
    """Where a file stops being JSON: ``: line 3, column 7``; nothing where that is not known."""
    return f": line {error.lineno}, column {error.colno}" if isinstance(error, JSONDecodeError) else ""
