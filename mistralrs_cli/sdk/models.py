"""The models of a runner: loaded, unloaded and loaded again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..messages import MediaOptions
from ..registry import ModelEntry, ModelRegistry, ModelSpec, RegistryLimits
from ..registry.memory import is_crowded
from ..start import Models
from .problems import RequestError, RunnerError, translated

if TYPE_CHECKING:
    from ..engine import Engine


@dataclass(frozen=True)
class RunnerModel:
    """A model as a program names it: ``multimodal`` where it must read images, audio or video.

    ``media`` is how its images are read.
    """

    spec: ModelSpec
    multimodal: bool = False
    media: MediaOptions = field(default_factory=MediaOptions)


class RunnerModels:
    """Holds the models of a runner. The first is loaded at once, others when they are first asked for.

    Of several, those that are idle are unloaded where another needs the memory, the least recently used first.
    ``models`` finds checkpoints and starts engines. Raises ``RequestError`` or ``RunnerError``.
    """

    def __init__(
        self, chosen: Sequence[RunnerModel], limits: RegistryLimits | None = None, models: Models | None = None
    ) -> None:
        self._models = models or Models()
        self._loading = threading.Lock()
        with translated():
            self._registry = ModelRegistry["Engine"](
                [model.spec for model in chosen],
                self._start,
                limits or RegistryLimits(),
                crowded=self._crowded,
                busy=is_answering,
            )
            self._chosen = {model.spec.name: model for model in chosen}
            self._unloaded: set[str] = set()  # by the program, where it is the only one
            for entry in self._registry.entries:
                self._open(entry)
            self._load_here(self._registry.default)

    def _load_here(self, entry: ModelEntry[Engine]) -> None:
        """Load a model in this thread, which Ctrl-C interrupts."""
        with self._loading:
            if entry.engine is None:
                self._registry.adopt(entry, self._start(entry))

    def _open(self, entry: ModelEntry[Engine]) -> None:
        """Find a checkpoint and check its options, before anything is loaded."""
        self._models.check(entry.spec.options)
        checkpoint = self._models.open(entry.spec.options, speech=True)
        if self._chosen[entry.name].multimodal and not checkpoint.family.modalities:
            raise RequestError(f"{checkpoint.name} reads text only.\nUse Which.Plain, or its name alone.")
        entry.checkpoint = checkpoint

    def _start(self, entry: ModelEntry[Engine]) -> Engine:
        options, count = entry.spec.options, len(self._registry.entries)
        if entry.stale:
            self._open(entry)
            entry.stale = False
        most = min(count, self._registry.limits.loaded or count)
        return self._models.start(entry.checkpoint, options, prefixes=options.prefix_cache_n, share=1 / most)

    def _crowded(self, entry: ModelEntry[Engine]) -> bool:
        several = len(self._registry.entries) > 1
        return several and is_crowded(self._models, entry.checkpoint, entry.spec.options)

    @property
    def _engine(self) -> Engine | None:
        return self._registry.default.engine

    @property
    def model(self) -> str:
        """The default model's name: its hub id or folder, unless it was given another."""
        return self._registry.default.name

    def list_models(self) -> list[str]:
        """The names of the models."""
        return [entry.name for entry in self._registry.entries]

    def list_models_with_status(self) -> list[tuple[str, str]]:
        """The names of the models, each with ``loaded``, ``loading`` or ``unloaded``."""
        return [(entry.name, entry.status) for entry in self._registry.entries]

    def get_default_model_id(self) -> str:
        """The model that answers where none is named."""
        return self.model

    def set_default_model_id(self, model_id: str) -> None:
        """Let this model answer where none is named. Raises ``ValueError`` for a model that there is not."""
        self._registry.default = self._entry(model_id)

    def is_model_loaded(self, model_id: str | None = None) -> bool:
        """Whether a model is in memory."""
        return self._entry(model_id).engine is not None

    def get_model_status(self, model_id: str | None = None) -> str:
        """``loaded``, ``loading`` or ``unloaded``."""
        return self._entry(model_id).status

    def unload_model(self, model_id: str | None = None) -> None:
        """Free a model's memory; what it is answering fails.

        One of several is loaded again when it is next asked for, the only one by ``reload_model``.
        """
        entry = self._entry(model_id)
        if len(self._registry.entries) == 1:
            self._unloaded.add(entry.name)
        self._registry.end(entry)

    def reload_model(self, model_id: str | None = None) -> None:
        """Load a model again after ``unload_model``."""
        entry = self._entry(model_id)
        with translated():
            entry.stale = entry.engine is None
            if len(self._registry.entries) == 1:
                self._load_here(entry)
            else:
                self._registry.use(entry).release()
        self._unloaded.discard(entry.name)

    def close(self) -> None:
        """Free the memory of all models."""
        for entry in self._registry.entries:
            self._registry.end(entry)
            if entry.loading:
                self._registry.unload(entry)
        self._unloaded.update(self._chosen)

    def __repr__(self) -> str:
        return f"<Runner {', '.join(f'{name}: {status}' for name, status in self.list_models_with_status())}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _using(self, *names: str | None) -> Iterator[tuple[Engine, RunnerModel]]:
        """A model by the first name that is given, which is loaded if need be and stays for the block.

        What was begun in the block keeps it loaded until it has ended.
        """
        entry = self._entry(*names)
        if entry.name in self._unloaded:
            raise RunnerError(f"{entry.name} is not loaded.\nCall reload_model() first.")
        with self._registry.use(entry) as lease:
            yield lease.engine, self._chosen[entry.name]

    def _entry(self, *names: str | None) -> ModelEntry[Engine]:
        """The model of the first name that is given. Raises ``ValueError`` for one that there is not."""
        name = next((name for name in names if name not in (None, "default")), None)
        if (found := self._registry.lookup(name)) is not None:
            return found
        known = ", ".join(self.list_models())
        raise RequestError(f"There is no model {name}; this runner has {known}.\nSay default, or one of its models.")


def is_answering(engine: Any) -> bool:
    """Whether an engine has answers that have not ended."""
    stats = engine.stats
    return bool(stats.running or stats.waiting)
