"""What is said of a model before it is loaded, and how many there may be at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import OptionError
from ..options import ModelOptions


@dataclass(frozen=True)
class ModelSpec:
    """A model by its name. ``aliases`` are other names for it.

    It is unloaded after ``keep`` idle seconds, ``None`` for never, or earlier where another model needs the memory;
    a ``pinned`` one is neither. ``load`` has it loaded at once, others are loaded when they are first asked for.
    """

    name: str
    options: ModelOptions
    aliases: tuple[str, ...] = ()
    keep: float | None = None
    pinned: bool = False
    load: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All its names, its own first."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class RegistryLimits:
    """At most ``loaded`` models are in memory at once, ``None`` for as many as fit.

    While a model waits for the memory of another that never stops answering, that one takes no new requests after
    ``patience`` seconds. Patient requests, such as lines of batch jobs, wait until another was idle for as long.
    """

    loaded: int | None = None
    patience: float = 5.0


NO_LIMITS = RegistryLimits()


def check_specs(specs: Sequence[ModelSpec], limits: RegistryLimits) -> None:
    """Raise ``OptionError`` for names that two models have, and for pinned models that leave no room for others."""
    name, count = Counter(name for spec in specs for name in set(spec.names)).most_common(1)[0]
    if count > 1:
        what = "name" if any(name == spec.name for spec in specs) else "alias"
        raise OptionError(f"{count} models are called {name}.", f"Give one of them another {what}: MODEL@{what}=OTHER")
    pinned = sum(spec.pinned for spec in specs)
    if limits.loaded is not None and limits.loaded < len(specs) and pinned >= limits.loaded:
        raise OptionError(
            f"{pinned} models are pinned, and --max-models-loaded {limits.loaded} leaves no room for the others.",
            "Pin fewer, or let more be loaded.",
        )
