"""One of the models behind the server: its names, its queue, and its engine while it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException

from ..messages import MODALITIES, MediaOptions
from ..options import ServerOptions
from ..registry import ModelEntry
from .backend import Backend
from .limits.queue import ConcurrencyLimit
from .metrics import ModelMetrics


class ServedModel:
    """A model as requests see it. Its state is in ``entry``, which the registry changes."""

    def __init__(
        self,
        entry: ModelEntry[Backend],
        options: ServerOptions,
        names: tuple[str, ...],
        running: int,
        metrics: Callable[[str, ServedModel], ModelMetrics],
    ) -> None:
        self.entry = entry
        self.names = names
        self.max_edge = options.max_edge
        self.concurrency = ConcurrencyLimit(running, options.queue)
        self.batch_concurrency = ConcurrencyLimit(running, options.queue)
        self.metrics = metrics(self.name, self)

    @property
    def name(self) -> str:
        """The name that responses carry."""
        return self.names[0]

    @property
    def media_options(self) -> MediaOptions:
        """How media are decoded whose part does not say."""
        return MediaOptions(max_edge=self.max_edge)

    @property
    def backend(self) -> Backend | None:
        """The engine; ``None`` while it is not loaded."""
        return self.entry.engine

    def ready(self) -> Backend:
        """The loaded model. Raises 503 while it is not loaded, and once its engine is down."""
        if (backend := self.backend) is None:
            raise still_loading(self.name)
        if (failure := backend.stats.failure) is not None:
            raise failure
        return backend

    def described(self, created: int, name: str | None = None) -> dict[str, Any]:
        """The model as OpenAI lists it, with what it reads and whether it is loaded."""
        found: dict[str, Any] = {
            "id": name or self.name,
            "object": "model",
            "created": created,
            "owned_by": "mistralrs",
            "status": self.entry.status,
        }
        from ..loading.size import weights_size

        checkpoint, backend = self.entry.checkpoint, self.backend
        if backend is None and (error := self.entry.error) is not None:
            found["error"] = str(getattr(error, "message", error))
        if backend is not None:
            info = backend.info
            about = (info.family, info.modalities, info.context_length)
        elif checkpoint is not None:
            family = checkpoint.family
            modalities = tuple(kind for kind in MODALITIES if kind in family.modalities)
            about = (family.name, modalities, family.context_length)
        else:
            return found
        found |= {
            "family": about[0],
            "input_modalities": ["text", *about[1]],
            "output_modalities": ["text"],
            "max_model_len": about[2],
        }
        if checkpoint is not None and (size := weights_size(checkpoint)) is not None:
            found["size"] = size
        return found


def still_loading(name: str) -> HTTPException:
    """503: a model that is loading at the start answers nothing."""
    return HTTPException(503, f"The model is still loading: {name}")
