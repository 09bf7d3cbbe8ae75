"""Models as a user names them: ``MODEL@quant=4,keep=10m`` after ``-m``, or the tables of ``models.toml``."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import OptionError, reason
from ..options import ModelOptions
from .keep_alive import FOREVER, keep_seconds
from .spec import ModelSpec

OWN = ("name", "alias", "aliases", "keep", "pinned", "load")
"""What may be said of a model beside ``ModelOptions``."""
EITHER = (("quant", "isq"), ("tokenizer", "tok_model_id"), ("device_layers", "topology"))
"""Options of which one is left out where a model names the other."""
FILE_KEYS = ("default", "keep", "max_models_loaded", "models")
EXAMPLE = "As in -m Qwen/Qwen3-VL-4B-Instruct@quant=4,alias=qwen,keep=10m"


@dataclass(frozen=True)
class ModelsFile:
    """What ``models.toml`` says: the models, the one that answers where none is named, and how many at once."""

    specs: tuple[ModelSpec, ...]
    default: str | None = None
    loaded: int | None = None


def spec_of(text: str, base: ModelOptions) -> ModelSpec:
    """The model of ``MODEL`` or ``MODEL@option=value,…``; ``base`` has what is said of all models.

    An ``@`` belongs to the name where no option follows it, or where a folder is called so. Raises ``OptionError``.
    """
    name, options = name_and_options(text)
    if options is None:
        return ModelSpec(text, replace(base, model_id=text))
    if not name:
        raise OptionError(f"-m {text} names no model.", EXAMPLE)
    given: dict[str, Any] = {}
    for item in options.split(","):
        key, equals, value = item.partition("=")
        key = field_name(key.strip())
        if key in given and key != "alias":
            raise OptionError(f"-m {text} says {key} twice.", EXAMPLE)
        said: Any = value.strip() if equals else True
        given[key] = [*given.get(key, []), said] if key == "alias" else said
    return spec_from(given | {"model_id": name}, base, f"-m {text}", text_values=True)


def name_and_options(text: str) -> tuple[str, str | None]:
    """``MODEL`` and what follows its ``@``; ``None`` where nothing does."""
    name, at, options = text.rpartition("@")
    return (name, options) if at and looks_like_options(options) and not is_folder(text) else (text, None)


def looks_like_options(text: str) -> bool:
    """Whether what follows an ``@`` are options: each a known name, alone or with a value."""
    known = (*OWN, *(field.name for field in fields(ModelOptions)))
    first = field_name(text.partition(",")[0].partition("=")[0].strip())
    return first in known or "=" in text


def is_folder(text: str) -> bool:
    """Whether a folder is called so."""
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, RuntimeError):
        return False


def field_name(key: str) -> str:
    """``max-seqs`` as ``max_seqs``."""
    return key.lstrip("-").replace("-", "_")


def read_models_file(path: str, base_of: Callable[[str], ModelOptions]) -> ModelsFile:
    """The models of a TOML file; relative paths of models and files start at its folder. Raises ``OptionError``.

    ``base_of`` gives the options of a model that the file says nothing of.
    """
    import tomllib

    try:
        found = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"--models: {path} cannot be read: {reason(error)}.", "Name a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"--models: {path} is not TOML: {error}.", "Correct it.") from error
    tables = found.pop("models", None)
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()) or not tables:
        raise OptionError(f"--models: {path} names no model.", 'Each is a table: [models.NAME], with model = "…".')
    default, loaded = found.pop("default", None), found.pop("max_models_loaded", None)
    keep = found.pop("keep", None)
    if found:
        unknown = next(iter(found))
        raise OptionError(f"--models: {path}: there is no key {unknown}.", meant(unknown, FILE_KEYS))
    if default is not None and not isinstance(default, str):
        raise OptionError(f"--models: default in {path} is not a name.", 'As in default = "NAME"')
    if loaded is not None and (type(loaded) is not int or loaded < 1):
        what = f"--models: max_models_loaded in {path} is not a number above 0."
        raise OptionError(what, "As in max_models_loaded = 2")
    folder = Path(path).expanduser().resolve().parent
    specs = []
    for name, table in tables.items():
        place = f"[models.{name}] of {path}"
        given = {field_name(key): value for key, value in table.items()}
        if "model" in given:
            given["model_id"] = given.pop("model")
        if "model_id" not in given:
            raise OptionError(f"{place} has no model.", 'As in model = "Qwen/Qwen3-VL-4B-Instruct"')
        if keep is not None:
            given.setdefault("keep", keep)
        given = from_folder(given, folder) | {"name": given.get("name", name)}
        specs.append(spec_from(given, base_of(str(given["model_id"])), place))
    return ModelsFile(tuple(specs), default, loaded)


def from_folder(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same with relative paths as they are named from the current folder, where there is such a file."""
    changed = dict(given)
    for key in ("model_id", "tok_model_id", "tokenizer", "topology", "chat_template", "jinja_explicit"):
        value = given.get(key)
        if isinstance(value, str) and not Path(value).is_absolute() and (folder / value).exists():
            changed[key] = str(folder / value)
    return changed


def spec_from(given: Mapping[str, Any], base: ModelOptions, place: str, *, text_values: bool = False) -> ModelSpec:
    """A model from its options by name. Raises ``OptionError`` for an unknown or a wrong one."""
    hints = get_type_hints(ModelOptions)
    unknown = [key for key in given if key not in hints and key not in OWN]
    if unknown:
        raise OptionError(f"{place}: there is no option {unknown[0]}.", meant(unknown[0], (*OWN, *hints)))
    values = {
        key: converted(key, hints[key], value, place, text_values=text_values)
        for key, value in given.items()
        if key in hints
    }
    for pair in EITHER:
        named = [key for key in pair if key in values]
        if len(named) == 2:
            raise OptionError(f"{place}: {' and '.join(named)} exclude each other.", "Give one of them.")
        if named:
            others: dict[str, Any] = {key: None for key in pair if key != named[0]}
            base = replace(base, **others)
    aliases = given.get("aliases", given.get("alias", ()))
    aliases = (aliases,) if isinstance(aliases, str) else tuple(aliases)
    name = given.get("name", values["model_id"])
    if not all(isinstance(each, str) and each.strip() for each in (name, *aliases)):
        raise OptionError(f"{place}: a name is empty or no text.", "Name it as clients send it.")
    flags = {
        key: converted(key, bool, given.get(key, False), place, text_values=text_values) for key in ("pinned", "load")
    }
    keep = None if given.get("keep") is None else keep_seconds(given["keep"], f"{place}: keep", bare=False)
    return ModelSpec(
        name, replace(base, **values), aliases, None if keep == FOREVER else keep, flags["pinned"], flags["load"]
    )


def meant(name: str, known: Sequence[str]) -> str:
    """The known name that is most like this one; all of them where none is."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}."


def converted(key: str, hint: Any, value: Any, place: str, *, text_values: bool) -> Any:
    """An option's value in its type. Raises ``OptionError``."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise OptionError(f"{place}: {key} is {value!r}.", f"Choose from: {', '.join(map(str, get_args(hint)))}.")
        return value
    if bool in kinds:
        found = {"true": True, "false": False, "yes": True, "no": False}.get(str(value).lower())
        if found is None or not (text_values or isinstance(value, bool)):
            raise OptionError(f"{place}: {key} is {value!r}.", "It is true or false.")
        return found
    if int in kinds:
        try:
            number = int(value) if text_values and not isinstance(value, bool) else value
        except ValueError:
            number = None
        if type(number) is not int or number < (0 if key == "prefix_cache_n" else 1):
            raise OptionError(f"{place}: {key} is {value!r}.", "It is a whole number above 0.")
        return number
    if isinstance(value, int) and not isinstance(value, bool):  # quant = 4
        value = str(value)
    if isinstance(value, float):
        value = f"{value:g}"
    if not isinstance(value, str) or not value.strip():
        raise OptionError(f"{place}: {key} is {value!r}.", "It is a text.")
    return value
