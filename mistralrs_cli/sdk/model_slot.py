"""The one model of a runner: loaded, unloaded and loaded again."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..options import ModelOptions
from ..start import Models
from .problems import RequestError, RunnerError, translated

if TYPE_CHECKING:
    from ..engine import Engine


class ModelSlot:
    """Holds the engine of one model. ``multimodal`` requires one that reads images, audio or video.

    ``models`` finds the checkpoint and starts the engine. Raises ``RequestError`` or ``RunnerError``.
    """

    def __init__(self, options: ModelOptions, *, multimodal: bool, models: Models | None = None) -> None:
        self._options = options
        self._multimodal = multimodal
        self._models = models or Models()
        self._lock = threading.Lock()
        self._engine: Engine | None = self._load()

    def _load(self) -> Engine:
        with translated():
            self._models.check(self._options)
            checkpoint = self._models.open(self._options)
            if self._multimodal and not checkpoint.family.modalities:
                raise RequestError(f"{checkpoint.name} reads text only.\nUse Which.Plain, or its name alone.")
            return self._models.start(checkpoint, self._options, prefixes=self._options.prefix_cache_n)

    @property
    def model(self) -> str:
        """The model's name: its hub id or folder."""
        return self._options.model_id

    def list_models(self) -> list[str]:
        """The models there are: one."""
        return [self.model]

    def get_default_model_id(self) -> str:
        """The model that answers where none is named."""
        return self.model

    def set_default_model_id(self, model_id: str) -> None:
        """There is one model, so it stays the default. Raises ``ValueError`` for another."""
        self._check(model_id)

    def is_model_loaded(self, model_id: str | None = None) -> bool:
        """Whether the model is in memory."""
        self._check(model_id)
        return self._engine is not None

    def get_model_status(self, model_id: str | None = None) -> str:
        """``loaded`` or ``unloaded``."""
        return "loaded" if self.is_model_loaded(model_id) else "unloaded"

    def unload_model(self, model_id: str | None = None) -> None:
        """Free the model's memory; what is being answered fails."""
        self._check(model_id)
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def reload_model(self, model_id: str | None = None) -> None:
        """Load the model again after ``unload_model``."""
        self._check(model_id)
        with self._lock:
            if self._engine is None:
                self._engine = self._load()

    def close(self) -> None:
        """Free the model's memory."""
        self.unload_model()

    def __repr__(self) -> str:
        return f"<Runner {self.model}: {'unloaded' if self._engine is None else 'loaded'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loaded(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise RunnerError(f"{self.model} is not loaded.\nCall reload_model() first.")
        return engine

    def _check(self, *names: str | None) -> None:
        """Raise ``ValueError`` for a model that is not this one."""
        for name in names:
            if name not in (None, "default", self.model):
                raise RequestError(f"There is no model {name}; this runner has {self.model}.\nSay default.")
