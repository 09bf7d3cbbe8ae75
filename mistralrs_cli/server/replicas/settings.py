"""What replicas are given, as plain values that a YAML file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ...errors import OptionError
from ...named_files import named_text
from ...options import ModelOptions, ServerOptions
from ...registry import ModelSpec, RegistryLimits
from ...registry.served import ServedModels, alone
from ...registry.spec import check_specs

Options = TypeVar("Options", ModelOptions, ServerOptions)
PATHS = ("model_id", "tokenizer", "chat_template", "jinja_explicit", "topology", "matformer_config_path", "hf_cache")
ELSEWHERE = ("uds", "certificate", "private_key", "api_keys", "page_key")
"""What Ray's own proxy cannot do, or what no file should show."""
FRONT = (*ELSEWHERE, "keys_file", "batch_folder", "batches", "batch_lines", "batch_disk")
"""What the front does for all replicas."""


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


def of_replica(options: ServerOptions) -> ServerOptions:
    """The options of a replica, from those of the front, which checks keys and keeps batch jobs."""
    defaults = {name: getattr(ServerOptions(), name) for name in FRONT}
    return replace(options, **defaults, keys_checked=options.needs_key)


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


def plain_models(served: ServedModels) -> dict[str, Any]:
    """Models as plain values; ``read_models`` reads them."""
    models = []
    for spec in served.specs:
        said = {"aliases": list(spec.aliases), "keep": spec.keep, "pinned": spec.pinned, "load": spec.load}
        stated = {name: value for name, value in said.items() if value not in (None, False, [])}
        models.append({"name": spec.name, **stated, "options": absolute(spec.options)})
    limits = {} if served.limits.loaded is None else {"max_models_loaded": served.limits.loaded}
    return {"models": models, "default": served.default, **limits}


def read_models(values: Mapping[str, Any]) -> ServedModels:
    """The models of ``plain_models``. Raises ``OptionError``."""
    specs = []
    for value in values.get("models") or [{"name": ModelOptions().model_id}]:
        said = {name: given for name, given in value.items() if name not in ("aliases", "options")}
        options = read(ModelOptions, value.get("options", {}))
        specs.append(ModelSpec(options=options, aliases=tuple(value.get("aliases", ())), **said))
    limits = RegistryLimits(values.get("max_models_loaded"))
    check_specs(specs, limits)
    if len(specs) == 1:
        specs = [alone(specs[0])]
    return ServedModels(tuple(specs), values.get("default", specs[0].name), limits)


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
