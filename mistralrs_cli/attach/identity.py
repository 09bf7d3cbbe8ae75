"""What decides which engine is loaded: options, files, environment and the program itself, as one digest."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..options import DEMO_MODEL, ModelOptions
from ..resources import PACKAGE, named_file

FILES = ("tokenizer", "topology")
BUNDLED = {
    "chat_template": "chat_templates",
    "jinja_explicit": "chat_templates",
    "matformer_config_path": "matformer_configs",
}
FOLDERS = ("model_id", "tok_model_id")
SECRET = "token_source"
CAPACITY = ("max_seqs", "prefix_cache_n", "threads")
"""Options that change no answer: where they are not given, an engine with any value of them will do."""
ENVIRONMENT = (
    *("CUDA_VISIBLE_DEVICES", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME"),
    *("MISTRALRS_CACHE", "MISTRALRS_GGML", "MISTRALRS_KERNELS", "MISTRALRS_STATIC_CACHE", "OMP_NUM_THREADS"),
)
"""Variables that change which weights are loaded, or what is computed with them."""
PLACES = (
    *("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR"),
    *("MISTRALRS_CACHE", "MISTRALRS_RUNTIME_DIR", "MISTRALRS_STATE_DIR"),
)
"""Variables that name a folder, which may be named from the current one."""


def absolute(options: ModelOptions) -> ModelOptions:
    """The same options with every path as it is from any folder."""
    changed: dict[str, Any] = {}
    for name in FILES:
        if (given := getattr(options, name)) is not None:
            changed[name] = resolved(Path(given).expanduser())
    for name, folder in BUNDLED.items():
        if (given := getattr(options, name)) is not None:
            path = named_file(folder, given)
            changed[name] = resolved(path) if path.exists() else given
    for name in FOLDERS:
        given = getattr(options, name)
        if given is not None and Path(given).expanduser().is_dir():
            changed[name] = resolved(Path(given).expanduser())
    if options.hf_cache is not None:
        changed["hf_cache"] = resolved(Path(options.hf_cache).expanduser())
    kind, _, file = options.token_source.partition(":")
    if kind == "path":
        changed[SECRET] = f"path:{resolved(Path(file).expanduser())}"
    return replace(options, **changed)


def resolved(path: Path) -> str:
    """A path from the root, with links followed."""
    return os.path.realpath(path)


def environment() -> dict[str, str]:
    """The variables of this process, with folders as they are named from any other."""
    found = dict(os.environ)
    for name in PLACES:
        if found.get(name):
            found[name] = str(Path(found[name]).expanduser().absolute())
    return found


def digest(options: ModelOptions) -> str:
    """A name for the engine that these options would load, the same in every folder. Holds no secret."""
    decisive = asdict(absolute(options))
    for name in (SECRET, *CAPACITY):
        del decisive[name]
    variables = environment()
    program = [__version__, str(PACKAGE), sys.prefix]
    text = json.dumps([decisive, {name: variables.get(name) for name in ENVIRONMENT}, program], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def has_capacity(options: ModelOptions, loaded: Mapping[str, Any]) -> bool:
    """Whether an engine with the options ``loaded`` has what is asked for of ``CAPACITY``."""
    defaults = ModelOptions()
    wanted = {name: getattr(options, name) for name in CAPACITY}
    return all(
        value in (getattr(defaults, name), loaded.get(name, getattr(defaults, name))) for name, value in wanted.items()
    )


def given(options: ModelOptions) -> dict[str, Any]:
    """The options that are not the defaults, without the model and what is secret."""
    defaults = ModelOptions()
    return {
        field.name: value
        for field in fields(options)
        if (value := getattr(options, field.name)) != getattr(defaults, field.name)
        and field.name not in (SECRET, "model_id")
    }


def watched(options: ModelOptions, folder: Path) -> dict[str, tuple[int, int] | None]:
    """The files that the engine is loaded from, as they are now: the checkpoint's in ``folder``, and those named.

    A checkpoint of the hub is watched through its ref, which names another folder once a newer one is downloaded.
    """
    options = absolute(options)
    paths = [Path(given) for name in (*FILES, *BUNDLED) if (given := getattr(options, name)) is not None]
    own = Path(options.model_id)
    if own.is_dir():
        paths += [path for path in own.iterdir() if path.is_file()]
    elif options.model_id != DEMO_MODEL:
        paths.append(folder.parent.parent / "refs" / (options.revision or "main"))
    return {str(path): state(path) for path in paths}


def state(path: Path) -> tuple[int, int] | None:
    """When a file was changed, in nanoseconds, and its size; ``None`` where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


def unchanged(files: Mapping[str, Iterable[int] | None]) -> bool:
    """Whether files are as they were."""
    return all(state(Path(path)) == (None if then is None else tuple(then)) for path, then in files.items())
