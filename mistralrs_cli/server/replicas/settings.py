"""What replicas are given, as plain values that a YAML file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ...errors import OptionError
from ...named_files import named_text
from ...options import ModelOptions, ServerOptions

Options = TypeVar("Options", ModelOptions, ServerOptions)
PATHS = ("model_id", "tokenizer", "chat_template", "jinja_explicit", "topology", "matformer_config_path", "hf_cache")
ELSEWHERE = ("uds", "certificate", "private_key", "api_keys")
"""What Ray's own proxy cannot do, or what no file should show."""


@dataclass(frozen=True)
class ReplicaOptions:
    """How many replicas there are, and what each of them gets.

    ``count`` ``None`` has their number follow the requests, from ``least`` to ``most``. ``address`` is that of a Ray
    cluster; ``None`` starts one on this machine. ``gpus`` ``None`` is one where there are any.
    """

    count: int | None = 1
    least: int = 1
    most: int = 1
    gpus: float | None = None
    cpus: float | None = None
    address: str | None = None


def plain(options: ModelOptions | ServerOptions, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of options that are not the defaults."""
    found: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if value != getattr(type(options)(), field.name) and field.name not in leave_out:
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def read(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Options from plain values. Raises ``OptionError`` for names that there are not."""
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise OptionError(f"{unknown[0]} is not a setting of a replica.", f"There are: {', '.join(sorted(known))}.")
    made: Any = kind
    found: Options = made(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )
    return found


def absolute(options: ModelOptions) -> dict[str, Any]:
    """Plain values of options in which names of files that are here are whole paths: replicas work in other folders."""
    found = plain(options)
    for name in PATHS:
        value = found.get(name)
        if isinstance(value, str) and Path(value).expanduser().exists():
            found[name] = str(Path(value).expanduser().resolve())
    return found


def keys_of(path: str | None) -> tuple[str, ...]:
    """The API keys in a file that every machine has, one on each line."""
    if path is None:
        return ()
    lines = named_text("api_key_file", path, "It holds one key on each line.").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
