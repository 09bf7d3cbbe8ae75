"""A model on its way: loaded in a thread, so that the first question can be typed meanwhile."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ..errors import EngineLost, MistralrsError, OptionError
from ..options import AttachOptions, ModelOptions
from ..start import Models

if TYPE_CHECKING:
    from ..engine import Engine
    from ..loading import Checkpoint


class Loading:
    """An engine that is being loaded in a thread, or one that runs already. ``wait`` raises what loading raised."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: ModelOptions,
        models: Models,
        ready: Callable[[], None],
        how: AttachOptions | None = None,
    ) -> None:
        self.how = how or AttachOptions(attach=False)
        self.checkpoint = checkpoint
        self.options = options
        self.models = models
        self.error: Exception | None = None
        self._engine: Engine | None = None
        self._abandoned = False
        self._ready = ready
        self._done = threading.Event()
        threading.Thread(target=self._run, name="mistralrs-loading", daemon=True).start()

    @property
    def engine(self) -> Engine | None:
        """The engine, if it is there already."""
        return self._engine

    def wait(self) -> Engine:
        """The engine. Raises what loading has raised."""
        while not self._done.wait(0.1):  # a wait without end would not be ended by Ctrl-C everywhere
            continue
        if self._engine is None:
            raise self.error or MistralrsError("The model is not loaded.", "Load one: /model NAME")
        return self._engine

    def close(self) -> None:
        """Close the engine, or stop its loading."""
        self._abandoned = True
        if self._engine is not None:
            self._engine.close()
        self._engine = self.error = None  # the traceback of an error holds what was loaded until then
        free_memory()

    def _attached(self) -> Engine | None:
        """An engine of another process that has loaded it, or is to keep it; held until this is closed."""
        engine = self.models.attach(self.options, self.how)
        try:
            if engine is None and self.how.keep is not None:
                engine = self.models.keep(self.options, self.how)
            if engine is not None:
                engine.wait()
                engine.hold()
        except (EngineLost, OptionError):  # it cannot be kept, or is gone: what is wrong with options is said below
            return None
        return cast("Engine | None", engine)  # it has what a chat uses of one

    def _run(self) -> None:
        try:
            engine = self._attached() or self.models.start(
                self.checkpoint, self.options, prefixes=self.options.prefix_cache_n
            )
            if self._abandoned:
                engine.close()
            else:
                self._engine = engine
        except Exception as error:
            self.error = error
        self._done.set()
        self._ready()


def free_memory() -> None:
    """Give back what a model held, before the next one is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def fetched(checkpoint: Checkpoint, options: ModelOptions) -> Checkpoint:
    """A checkpoint whose weights are on this machine: downloads show their bars, so they come before the prompt."""
    if checkpoint.repository is None:
        return checkpoint
    from ..loading.checkpoint import fetch_weights

    return replace(checkpoint, folder=fetch_weights(checkpoint, options), repository=None)
