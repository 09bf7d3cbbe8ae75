"""Which models are in memory: loaded for those who ask, unloaded when idle for long or when another needs the room."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, Literal
from weakref import ref

from ..errors import ModelNotFound, OutOfMemory, ShuttingDown
from .entry import AnyEngine, Lease, ModelEntry
from .memory import give_back
from .spec import NO_LIMITS, ModelSpec, RegistryLimits, check_specs

Event = Literal["loading", "loaded", "unloaded", "failed"]
Start = Callable[[ModelEntry[AnyEngine]], AnyEngine]
Crowded = Callable[[ModelEntry[AnyEngine]], bool]


LOG = logging.getLogger(__name__)
POLL = 0.05  # seconds between two looks at a model that is answering without a lease


def never(entry: object) -> bool:
    """No: there is room for everything, and an engine without a lease is idle."""
    return False


def logged(entry: ModelEntry[AnyEngine], error: BaseException) -> None:
    """Log why a model could not be closed."""
    LOG.error("%s could not be unloaded", entry.name, exc_info=error)


class ModelRegistry(Generic[AnyEngine]):
    """Models by their names; threads share it.

    ``start`` loads a model and returns its engine. ``crowded`` says whether a model would fit better if another were
    unloaded first. Both are called in one thread, which loads and unloads one model at a time. ``busy`` says whether an
    engine is answering although nothing has a lease on it. ``on_event`` gets what becomes of a model, ``on_failure``
    why one could not be closed. The first model is the default.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        start: Start[AnyEngine],
        limits: RegistryLimits = NO_LIMITS,
        *,
        crowded: Crowded[AnyEngine] = never,
        busy: Callable[[AnyEngine], bool] = never,
        on_event: Callable[[ModelEntry[AnyEngine], Event], None] = lambda entry, event: None,
        on_failure: Callable[[ModelEntry[AnyEngine], BaseException], None] = logged,
    ) -> None:
        check_specs(specs, limits)
        self.entries = tuple(ModelEntry[AnyEngine](spec) for spec in specs)
        self.default = self.entries[0]
        self.limits = limits
        self._start = start
        self._crowded = crowded
        self._busy = busy
        self._on_event = on_event
        self._on_failure = on_failure
        self._names = {name: entry for entry in self.entries for name in entry.spec.names}
        self._changed = threading.Condition()
        self._queue: deque[ModelEntry[AnyEngine]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def find(self, name: str | None) -> ModelEntry[AnyEngine]:
        """The model of a name; the default for ``default`` and no name. Raises ``ModelNotFound``."""
        if (found := self.lookup(name)) is not None:
            return found
        known = ", ".join(entry.name for entry in self.entries)
        raise ModelNotFound(f"There is no model {name!r}; there are {known}.", 'Name one, or "default".', param="model")

    def lookup(self, name: str | None) -> ModelEntry[AnyEngine] | None:
        """The same; ``None`` where there is none. A model that goes by another name is found by its own, too."""
        if (found := self._names.get(name or "")) is not None:
            return found
        if name in (None, "", "default"):
            return self.default
        called = [entry for entry in self.entries if entry.spec.options.model_id == name]
        return called[0] if len(called) == 1 and len(self.entries) > 1 else None

    def set_default(self, name: str) -> None:
        """Let this model answer those who name none. Raises ``ModelNotFound``."""
        self.default = self.find(name)

    def load_at_start(self) -> None:
        """Begin to load the models that are to be there at once, in order."""
        for entry in self.entries:
            if entry.spec.load:
                self.request(entry).add_done_callback(release)

    def request(self, entry: ModelEntry[AnyEngine], *, patient: bool = False) -> Future[Lease[AnyEngine]]:
        """A lease, once the model is loaded; its ``Future`` raises what loading raises.

        For a ``patient`` one no other model is unloaded that was used in the last ``patience`` seconds.

        Who does not want it any more cancels the ``Future``, or releases the lease where it is too late for that: a
        model that no request waits for is not loaded.
        """
        future: Future[Lease[AnyEngine]] = Future()
        with self._changed:
            if self._closed:
                raise ShuttingDown("The models are being unloaded.", "Try again later.")
            if entry.engine is not None and not entry.unloading:
                future.set_result(self._lease(entry, entry.engine))
                return future
            entry.waiting.append(future)
            if patient:
                entry.patient.add(future)
            if entry.engine is None and not entry.loading and entry not in self._queue:
                self._queue.append(entry)
            self._wake()
        future.add_done_callback(partial(self._forget, entry))
        return future

    def use(self, entry: ModelEntry[AnyEngine]) -> Lease[AnyEngine]:
        """A lease; waits until the model is loaded. Raises what loading raises."""
        future = self.request(entry)
        try:
            return future.result()
        except BaseException:
            drop(future)
            raise

    def unload(self, entry: ModelEntry[AnyEngine]) -> Future[None]:
        """Unload a model once nothing uses it, pinned or not; new requests have it loaded again afterwards."""
        done: Future[None] = Future()
        with self._changed:
            if entry.engine is None and not entry.loading:
                done.set_result(None)
                return done
            entry.unloading = True
            entry.unloads.append(done)
            self._wake()
        return done

    def end(self, entry: ModelEntry[AnyEngine]) -> None:
        """Unload a model now; what it is answering fails, and a lease on it holds nothing any more."""
        with self._changed:
            engine, entry.engine, entry.users, entry.expires = entry.engine, None, 0, None
            entry.unloading = False
            self._changed.notify_all()
        if engine is not None:
            self._end(entry, engine)
            kept = ref(engine)
            del engine
            give_back(kept)

    def adopt(self, entry: ModelEntry[AnyEngine], engine: AnyEngine | None) -> None:
        """Let an engine that is somebody else's to start stand for a model; ``None`` takes it away again."""
        with self._changed:
            entry.engine, entry.loading = engine, False
            entry.last_used = time.monotonic()
            self._changed.notify_all()

    def close(self) -> None:
        """End all models; who waits for one gets ``ShuttingDown``."""
        with self._changed:
            self._closed = True
            engines = [(entry, entry.engine) for entry in self.entries if entry.engine is not None]
            for entry in self.entries:
                entry.engine = None
            self.refuse()
            self._changed.notify_all()
        for entry, engine in engines:
            self._end(entry, engine)

    def refuse(self) -> None:
        """Give those who wait for a model ``ShuttingDown``."""
        with self._changed:
            for entry in self.entries:
                self._answer(entry, ShuttingDown("The models are being unloaded.", "Try again later."))

    def _tell(self, entry: ModelEntry[AnyEngine], event: Event) -> None:
        """Say what became of a model; what goes wrong with that must not end this thread."""
        try:
            self._on_event(entry, event)
        except Exception:
            LOG.exception("%s: %s", entry.name, event)

    def _end(self, entry: ModelEntry[AnyEngine], engine: AnyEngine) -> None:
        """End an engine; one that cannot be ended is reported, since others must go on."""
        try:
            engine.close()
        except Exception as error:
            self._on_failure(entry, error)

    def _lease(self, entry: ModelEntry[AnyEngine], engine: AnyEngine) -> Lease[AnyEngine]:
        entry.users += 1
        entry.last_used = time.monotonic()
        entry.expires = None
        return Lease(entry, engine, partial(self._release, entry, engine))

    def _release(self, entry: ModelEntry[AnyEngine], engine: AnyEngine, keep: float | None) -> None:
        with self._changed:
            if entry.engine is not engine:  # closed, or taken away
                return
            entry.users -= 1
            entry.last_used = time.monotonic()
            wanted = entry.spec.keep if keep is None else keep
            timed = wanted is not None and wanted != float("inf") and not entry.spec.pinned
            entry.expires = entry.last_used + wanted if timed and wanted is not None else None
            if entry.users == 0 and (entry.unloading or timed):
                self._wake()
            self._changed.notify_all()

    def _forget(self, entry: ModelEntry[AnyEngine], future: Future[Lease[AnyEngine]]) -> None:
        """Who waited has left."""
        if future.cancelled():
            with self._changed:
                entry.patient.discard(future)
                if future in entry.waiting:
                    entry.waiting.remove(future)
                if not entry.waiting and entry in self._queue:
                    self._queue.remove(entry)
                self._changed.notify_all()

    def _wake(self) -> None:
        """Have the thread look again; called with the lock held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="models", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        """Load and unload, one model at a time, until there is nothing more to do or to wait for."""
        while True:
            with self._changed:
                while (due := self._due()) is None and not self._queue and not self._closed:
                    if (seconds := self._until_next()) is None:  # until somebody wakes it again
                        self._thread = None
                        return
                    self._changed.wait(seconds)
                if self._closed:
                    return
                entry = due or self._queue.popleft()
                entry.loading = due is None
            if due is not None:
                self._unload(due)
            else:
                self._load(entry)

    def _due(self) -> ModelEntry[AnyEngine] | None:
        """A model that nothing uses and that is to be unloaded now."""
        now = time.monotonic()
        for entry in self.entries:
            ended = entry.expires is not None and entry.expires <= now
            if (entry.unloading or ended) and self._idle(entry):
                return entry
        return None

    def _idle(self, entry: ModelEntry[AnyEngine]) -> bool:
        """Whether a loaded model is answering nothing."""
        return entry.engine is not None and not entry.users and not self._busy(entry.engine)

    def _until_next(self) -> float | None:
        """Seconds until the next model may have been idle for long enough; ``None`` where none is to be unloaded."""
        unused = [entry for entry in self.entries if entry.engine is not None and not entry.users]
        if any(entry.unloading for entry in unused):
            return POLL
        ends = [entry.expires for entry in unused if entry.expires is not None]
        return max(POLL, min(ends) - time.monotonic()) if ends else None

    def _unload(self, entry: ModelEntry[AnyEngine]) -> None:
        """Unload a model that nothing uses; who asks for it meanwhile waits until it is loaded again."""
        with self._changed:
            engine = entry.engine
            if engine is None or not self._idle(entry):
                return
            entry.engine, entry.unloading, entry.expires = None, False, None
        self._end(entry, engine)
        kept = ref(engine)
        del engine
        give_back(kept)
        self._tell(entry, "unloaded")
        with self._changed:
            unloads, entry.unloads = entry.unloads, []
            if entry.waiting and entry not in self._queue:
                self._queue.append(entry)
            self._changed.notify_all()
        for done in unloads:
            if done.set_running_or_notify_cancel():
                done.set_result(None)

    def _load(self, entry: ModelEntry[AnyEngine]) -> None:
        """Load a model, once there is room for it; its requests alone get what is raised."""
        begun = time.monotonic()
        found: AnyEngine | BaseException | None
        try:
            found = self._started(entry)
        except BaseException as error:
            found = error
        with self._changed:
            if found is None and entry.waiting and not self._closed:  # somebody has come after the last had left
                self._queue.append(entry)
            entry.loading = False
            engine = None if found is None or isinstance(found, BaseException) else found
            if engine is None:
                entry.error, entry.unloading = found if isinstance(found, BaseException) else entry.error, False
                unloads, entry.unloads = entry.unloads, []
            else:
                unloads = []
                entry.error, entry.seconds = None, time.monotonic() - begun
                entry.loads += 1
                entry.engine = None if self._closed else engine
            if found is not None:
                self._answer(entry, found)
            if entry.engine is not None and not entry.users:  # all have left meanwhile
                self._lease(entry, entry.engine).release()
            ended = self._closed
        for done in unloads:
            if done.set_running_or_notify_cancel():
                done.set_result(None)
        if ended and engine is not None:
            self._end(entry, engine)
        elif found is not None and not ended:
            self._tell(entry, "loaded" if engine is not None else "failed")

    def _started(self, entry: ModelEntry[AnyEngine]) -> AnyEngine | None:
        """The engine of a model; ``None`` where no request waits for it any more. Raises what loading raises."""
        if not entry.waiting or not self._make_room(entry):
            return None
        entry.activity = f"Loading {entry.name}"
        self._tell(entry, "loading")
        while True:
            try:
                return self._start(entry)
            except OutOfMemory:
                if not self._evict(entry):
                    raise

    def _answer(self, entry: ModelEntry[AnyEngine], found: AnyEngine | BaseException) -> None:
        """Give those who wait their lease, or what went wrong; called with the lock held."""
        waiting, entry.waiting = entry.waiting, []
        entry.patient.clear()
        for future in waiting:
            if not future.set_running_or_notify_cancel():
                continue
            if isinstance(found, BaseException):
                future.set_exception(found)
            elif self._closed:
                future.set_exception(ShuttingDown("The models are being unloaded.", "Try again later."))
            else:
                future.set_result(self._lease(entry, found))

    def _make_room(self, entry: ModelEntry[AnyEngine]) -> bool:
        """Unload others until there is room, the least recently used first; false where this is not to be loaded now.

        That is where no request waits any more, or only patient ones while another is to be loaded or unloaded.
        """
        patience, since = self.limits.patience, None
        while self._full() or self._crowded(entry):
            if self._evict(entry):
                continue
            with self._changed:
                others = [each for each in self._others(entry) if each.engine is not None and not each.spec.pinned]
                if not others:
                    return True  # no room can be made: loading says by how much it does not fit
                if self._closed or not entry.waiting:
                    return False
                now = time.monotonic()
                if not entry.urgent:
                    if self._queue or self._due() is not None:
                        self._changed.wait(POLL)
                        return False
                    quiet = min(each.last_used for each in others) + patience - now
                    ends = self._until_next()
                    self._changed.wait(max(POLL, quiet if ends is None else min(quiet, ends)))
                    continue
                since = now if since is None else since
                if now >= since + patience and not any(each.unloading for each in others):
                    min(others, key=lambda each: each.last_used).unloading = True
                self._changed.wait(POLL if self._busy is not never else max(POLL, since + patience - now))
        return True

    def _full(self) -> bool:
        """Whether as many models are loaded as may be."""
        loaded = sum(entry.engine is not None for entry in self.entries)
        return self.limits.loaded is not None and loaded >= self.limits.loaded

    def _others(self, entry: ModelEntry[AnyEngine]) -> list[ModelEntry[AnyEngine]]:
        return [each for each in self.entries if each is not entry]

    def _evict(self, entry: ModelEntry[AnyEngine]) -> bool:
        """Unload the least recently used of the other models that answer nothing; false where there is none."""
        with self._changed:
            quiet = 0.0 if entry.urgent else self.limits.patience
            before = time.monotonic() - quiet
            others = [each for each in self._others(entry) if each.last_used <= before]
            idle = [each for each in others if self._idle(each) and not each.spec.pinned]
            if not idle:
                return False
            oldest = min(idle, key=lambda each: each.last_used)
        self._unload(oldest)
        return True


def release(future: Future[Lease[AnyEngine]]) -> None:
    """Release a lease that is there and not used."""
    if not future.cancelled() and future.exception() is None:
        future.result().release()


def drop(future: Future[Lease[AnyEngine]]) -> None:
    """Want a lease no more, whether it is there or not."""
    if not future.cancel():
        future.add_done_callback(release)
