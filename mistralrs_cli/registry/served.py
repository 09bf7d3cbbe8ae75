"""The models that a server holds: which they are, and a registry that loads them when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .entry import ModelEntry
from .keep_alive import FOREVER
from .memory import is_crowded
from .registry import Event, ModelRegistry
from .spec import NO_LIMITS, ModelSpec, RegistryLimits

if TYPE_CHECKING:
    from ..engine import Engine
    from ..loading import Checkpoint
    from ..loading.quantization.loader import Progress
    from ..start import Models

Starting = Callable[[ModelEntry[Any]], AbstractContextManager["Progress | None"]]
"""What surrounds the loading of a model, and gets how far its weights are quantized."""


def unseen(entry: ModelEntry[Any]) -> AbstractContextManager[Progress | None]:
    """Nothing shows how far a model is."""
    return nullcontext()


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
        *,
        kind: str | None,
        on_failure: Callable[[ModelEntry[Any], BaseException], None],
        on_event: Callable[[ModelEntry[Any], Event], None],
        starting: Starting = unseen,
    ) -> ModelRegistry[Any]:
        """A registry that loads these models. ``on_failure`` gets what ended an engine, or kept it from ending."""
        most = min(len(self.specs), self.limits.loaded or len(self.specs))

        def start(entry: ModelEntry[Any]) -> Engine:
            options = entry.spec.options
            if entry.stale:
                entry.checkpoint, entry.stale = models.open(options, kind, speech=True), False
            with starting(entry) as progress:
                return models.start(
                    entry.checkpoint,
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


def alone(spec: ModelSpec) -> ModelSpec:
    """The only model of a server: it stays, unless a time was given."""
    return replace(spec, load=True, pinned=spec.keep is None or spec.keep == FOREVER)
