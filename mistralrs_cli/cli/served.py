"""The models that ``serve`` holds: which they are, and how one is loaded when a request asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import ModelNotFound, OptionError
from ..options import DEMO_MODEL, ModelOptions
from ..registry import ModelEntry, ModelRegistry, ModelSpec, RegistryLimits
from ..registry.given import name_and_options, read_models_file, spec_of
from ..registry.keep_alive import FOREVER, keep_seconds
from ..registry.memory import is_crowded
from ..registry.registry import Event
from ..registry.spec import NO_LIMITS, check_specs
from ..start import Models
from ..terminal.console import Console
from ..terminal.status import Status
from .params.models import ModelsParams

if TYPE_CHECKING:
    from ..engine import Engine
    from ..loading import Checkpoint


@dataclass(frozen=True)
class ServedModels:
    """The models of one server. The ``default`` answers where none is named."""

    specs: tuple[ModelSpec, ...]
    default: str
    limits: RegistryLimits = NO_LIMITS

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.specs) > 1

    def open(self, models: Models, kind: str | None) -> dict[str, Checkpoint]:
        """All checkpoints by the name of their model, so that a mistyped one is found before anything is loaded."""
        return {spec.name: models.open(spec.options, kind, speech=True) for spec in self.specs}

    def registry(
        self,
        checkpoints: dict[str, Checkpoint],
        models: Models,
        console: Console,
        *,
        kind: str | None,
        on_failure: Callable[[ModelEntry[Any], BaseException], None],
        on_event: Callable[[ModelEntry[Any], Event], None],
    ) -> ModelRegistry[Any]:
        """A registry that loads these models. ``on_failure`` gets what ended an engine, or kept it from ending."""
        most = min(len(self.specs), self.limits.loaded or len(self.specs))

        def start(entry: ModelEntry[Any]) -> Engine:
            options = entry.spec.options
            if entry.stale:
                entry.checkpoint, entry.stale = models.open(options, kind, speech=True), False
            checkpoint = entry.checkpoint
            at_start = entry.spec.load and not entry.loads  # later there is a log on the screen
            shown = console.stderr if console.interactive and not console.still and at_start else None
            with Status(shown, f"Loading {checkpoint.name}", None, animated=checkpoint.repository is None) as status:

                def progress(done: int, total: int) -> None:
                    entry.activity = f"Quantizing weights of {entry.name}, {done} of {total}"
                    status.quantizing(done, total)

                return models.start(
                    checkpoint,
                    options,
                    prefixes=options.prefix_cache_n,
                    progress=progress,
                    on_failure=lambda error: on_failure(entry, error),
                    share=1 / most,
                )

        registry = ModelRegistry[Any](
            self.specs,
            start,
            self.limits,
            crowded=lambda entry: self.several and is_crowded(models, entry.checkpoint, entry.spec.options),
            on_event=on_event,
            on_failure=on_failure,
        )
        for entry in registry.entries:
            entry.checkpoint = checkpoints[entry.name]
        registry.set_default(self.default)
        return registry


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


def alone(spec: ModelSpec) -> ModelSpec:
    """The only model of a server: it stays, unless a time was given."""
    return replace(spec, load=True, pinned=spec.keep is None or spec.keep == FOREVER)
