"""The models that ``serve`` is to hold, from the command line, and what is shown while one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ModelNotFound, OptionError
from ..options import DEMO_MODEL, ModelOptions
from ..registry import ModelEntry, ModelSpec, RegistryLimits
from ..registry.given import name_and_options, read_models_file, spec_of
from ..registry.keep_alive import keep_seconds
from ..registry.served import ServedModels, Starting, alone
from ..registry.spec import check_specs
from ..terminal.console import Console
from ..terminal.status import Status
from .params.models import ModelsParams

if TYPE_CHECKING:
    from ..loading.quantization.loader import Progress


def shown_on(console: Console) -> Starting:
    """Shows how far a model is that is loaded at the start; later there is a log on the screen."""

    @contextmanager
    def starting(entry: ModelEntry[Any]) -> Iterator[Progress]:
        at_start = entry.spec.load and not entry.loads
        shown = console.stderr if console.interactive and not console.still and at_start else None
        checkpoint = entry.checkpoint
        with Status(shown, f"Loading {checkpoint.name}", None, animated=checkpoint.repository is None) as status:

            def progress(done: int, total: int) -> None:
                entry.activity = f"Quantizing weights of {entry.name}, {done} of {total}"
                status.quantizing(done, total)

            yield progress

    return starting


def served_models(
    named: list[str], given: ModelsParams, base_of: Callable[[str], ModelOptions], served_names: list[str]
) -> ServedModels:
    """The models after ``-m`` and of ``--models``; ``base_of`` has the options of each that it does not name itself.

    The first is loaded at once, and so are those that say so. Raises ``OptionError``.
    """
    specs = [spec_of(text, base_of(name_and_options(text)[0])) for text in named]
    default, loaded = None, given.max_models_loaded
    if given.models is not None:
        file = read_models_file(given.models, base_of)
        specs += file.specs
        default, loaded = file.default, loaded or file.loaded
    if not specs:
        specs = [ModelSpec(DEMO_MODEL, base_of(DEMO_MODEL))]
    keep = None if given.keep_alive is None else keep_seconds(given.keep_alive, "--keep-alive", bare=False)
    if keep is not None:
        specs = [spec if spec.keep is not None else replace(spec, keep=keep) for spec in specs]
    if len(specs) == 1:
        return ServedModels((alone(specs[0]),), specs[0].name, RegistryLimits(loaded))
    if served_names:
        raise OptionError("--served-model-name is for one model.", f"Name each: -m {specs[0].name}@alias=NAME")
    limits = RegistryLimits(loaded)
    check_specs(specs, limits)
    first = next((spec for spec in specs if default is None or default in spec.names), None)
    if first is None:
        raise ModelNotFound(f"There is no model {default}, the default of {given.models}.", "Name one of its models.")
    specs = [replace(spec, load=True) if spec is first else spec for spec in specs]
    return ServedModels(tuple(specs), first.name, limits)
