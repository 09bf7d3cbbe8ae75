"""What a model's towers made of media, kept for the next prompt that holds the same.

Behind another text an equal image shares no KV cache with an earlier one, but the tower need not look at it again.
Results are known by a digest of all that the tower was given, its tensors to the last bit: whatever could change a
result changes its key, and two media never share one.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

import torch

from ...families.encoder import Encoder
from .items import bytes_of, concat_outputs, detach, split_inputs, split_outputs, stack_inputs

WORKER = threading.local()  # .cache: the cache of the engine whose worker runs on this thread


class EncoderCache:
    """Results of encoders, the latest used, up to ``size`` bytes. One thread uses it; any may read the numbers.

    ``hits`` and ``misses`` count items: images, tiles, frames or windows, as the model's encoder takes them. With
    ``seconds`` a call of an encoder is to take about so long at most, if it can be done with fewer items in each.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0  # bytes
        self.hits = 0
        self.misses = 0
        self.seconds: float | None = None
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def activate(self) -> None:
        """Serve the encoders that run on this thread from now on."""
        WORKER.cache = self if self.size else None

    def clear(self) -> None:
        """Drop all entries."""
        self._kept.clear()
        self.taken = 0

    def encoded(self, encoder: Encoder, run: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """What ``run`` gives for these arguments: kept results for the items that are known, a call for the others."""
        tensors = {name: value for name, value in arguments.items() if isinstance(value, torch.Tensor)}
        settings = {name: value for name, value in arguments.items() if name not in tensors}
        items = split_inputs(encoder, tensors)
        if not items or not all(map(plain, settings.values())):
            return run(**arguments)
        on_host = split_inputs(encoder, {name: tensor.cpu() for name, tensor in tensors.items()})
        keys = [digest(encoder.path, settings, item) for item in on_host]
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in self._kept}
        found = {key: self._take(key) for key in keys if key not in missing}
        if missing:
            result = None
            if self.seconds is None:
                new = tensors if len(missing) == len(keys) else stack_inputs(encoder, list(missing.values()))
                result = run(**settings, **new)
                parts = split_outputs(result, len(missing), encoder.result_axis)
            else:
                parts = self._in_turn(encoder, functools.partial(run, **settings), list(missing.values()))
            if parts is None:  # not as declared: nothing can be told apart, so nothing is kept
                return run(**arguments) if result is None or len(missing) < len(keys) else result
            found |= zip(missing, map(detach, parts), strict=True)
            for key in missing:
                self._keep(key, found[key])
        self.misses += len(missing)
        self.hits += len(keys) - len(missing)
        return concat_outputs([found[key] for key in keys], encoder.result_axis)

    def _in_turn(
        self, encoder: Encoder, run: Callable[..., Any], items: list[dict[str, torch.Tensor]]
    ) -> list[Any] | None:
        """The result for each item, few in a call, or ``None`` where a call does not have one place for each."""
        found: list[Any] = []
        count = 1
        while len(found) < len(items):
            some = items[len(found) : len(found) + count]
            begun = time.perf_counter()
            parts = split_outputs(run(**stack_inputs(encoder, some)), len(some), encoder.result_axis)
            if parts is None:
                return None
            found += parts
            if self.seconds is not None:
                count = max(1, int(len(some) * self.seconds / max(time.perf_counter() - begun, 1e-6)))
        return found

    def _take(self, key: bytes) -> Any:
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: bytes, result: Any) -> None:
        size = bytes_of(result)
        if size > self.size:
            return
        self._kept[key] = result
        self.taken += size
        while self.taken > self.size:
            self.taken -= bytes_of(self._kept.popitem(last=False)[1])


def wrap(model: Any, encoders: Iterable[Encoder]) -> None:
    """Have a model's encoders ask the cache of the thread they run on; where there is none, nothing changes."""
    for encoder in encoders:
        path, _, name = encoder.path.rpartition(".")
        owner = model.base_model.get_submodule(path)
        part = getattr(owner, name, None)
        if isinstance(part, torch.nn.Module):
            owner, name, part = part, "forward", part.forward
        if part is None or hasattr(part, "wrapped_encoder"):
            continue
        if isinstance(part, MethodType):  # stays one, so that a copy of the model runs its own
            setattr(owner, name, MethodType(wrapper(encoder, part.__func__, 1), owner))
        else:
            setattr(owner, name, wrapper(encoder, part, 0))


def wrapper(encoder: Encoder, run: Callable[..., Any], bound: int) -> Callable[..., Any]:
    """The same function, asking the thread's cache first. What it calls itself is not asked for again.

    The first ``bound`` arguments are what it is called on.
    """
    names = list(inspect.signature(run).parameters)[bound:]

    @functools.wraps(run)
    def asking(*args: Any, **kwargs: Any) -> Any:
        cache: EncoderCache | None = getattr(WORKER, "cache", None)
        if cache is None:
            return run(*args, **kwargs)
        WORKER.cache = None
        try:
            given = dict(zip(names, args[bound:], strict=False)) | kwargs
            return cache.encoded(encoder, functools.partial(run, *args[:bound]), given)
        finally:
            WORKER.cache = cache

    asking.wrapped_encoder = True  # type: ignore[attr-defined]
    return asking


def plain(setting: object) -> bool:
    """Whether a setting says by its ``repr`` all that it is."""
    if isinstance(setting, (tuple, list)):
        return all(map(plain, setting))
    return setting is None or isinstance(setting, (bool, int, float, str))


def digest(path: str, settings: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    """What an item is known by. The tensors are on the host."""
    found = hashlib.sha256(repr((path, sorted(settings.items()))).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.digest()
