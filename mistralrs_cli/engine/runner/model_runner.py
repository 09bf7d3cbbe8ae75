"""The only caller of the model."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

from ...loading import LoadedModel
from ...options import KVCacheType
from ..kv.base import KVCache
from ..kv.joined import JoinedCache
from ..kv.layers import attends
from ..kv.prefix import Reuse
from ..kv.quantized import Scratch
from ..kv.static import BufferPool, StaticCache, supports
from ..sequence import SequenceState
from .cancellation import ForwardHooks
from .chunks import chunks_of
from .cuda_graph import CapturedSteps, logits_of
from .decode import decode
from .prefill import Prefill, begin
from .rotary import dynamic_rope_modules, reset_dynamic_rope


class ModelRunner:
    """Runs prompts and decoding steps, with the adapter that each of them wants.

    Their keys and values are kept as ``kv_cache_type`` says; ``static`` is for fixed buffers where they can be in some,
    by default on CUDA.
    """

    def __init__(self, loaded: LoadedModel, kv_cache_type: KVCacheType = "auto", *, static: bool | None = None) -> None:
        self._model = loaded.model
        self._family = loaded.family
        self._device = loaded.device
        pool = pool_for(loaded, kv_cache_type, static=static)
        self._pool = pool
        self._captured = CapturedSteps(loaded.model) if pool is not None and loaded.device.type == "cuda" else None
        self._quantized = Scratch() if kv_cache_type == "q8" else None
        self._hooks = ForwardHooks(loaded.model)
        self._ropes = dynamic_rope_modules(loaded.model)
        self._placeholders = {
            kind: loaded.family.placeholder_ids(loaded.processor, kind) for kind in loaded.family.modalities
        }

    def begin(
        self,
        inputs: dict[str, Any],
        adapter: Hashable,
        reuse: Reuse | None = None,
        *,
        every: bool = False,
        check_cancelled: Callable[[], None],
    ) -> Prefill:
        """Prepare a prompt and encode its media, as far as that can be done before its tokens are run.

        What ``check_cancelled`` raises, called again and again meanwhile, ends it.
        """
        self._family.set_adapter(self._model, adapter)
        reset_dynamic_rope(self._ropes)
        with self._hooks.watching(check_cancelled):
            begun = begin(self._model, inputs, reuse, every=every, quantized=self._quantized)
        if not every and self._chunkable(begun):
            divisible = self._family.divisible_media
            begun.chunks = chunks_of(begun.ids, begun.done, begun.arguments, self._placeholders, divisible=divisible)
        return begun

    def _chunkable(self, begun: Prefill) -> bool:
        states = self._family.chunked_states or attends(begun.arguments["past_key_values"])
        return states and self._family.chunkable(begun.ids.shape[1])

    def advance(
        self, prompt: Prefill, adapter: Hashable, tokens: int | None, *, check_cancelled: Callable[[], None]
    ) -> tuple[SequenceState, torch.Tensor] | None:
        """``Prefill.advance``, which ends when the device has done it."""
        self._family.set_adapter(self._model, adapter)
        reset_dynamic_rope(self._ropes)
        with self._hooks.watching(check_cancelled):
            found = prompt.advance(tokens)
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)
        return found

    def new_cache(self, sequence: SequenceState) -> KVCache:
        """A cache without rows, for a prefilled sequence and those that are batched with it."""
        prefilled = sequence.cache
        if self._pool is not None and prefilled is not None and not sequence.carried and supports(prefilled.cache):
            return StaticCache(self._pool)
        return JoinedCache(self._device)

    @property
    def footprint(self) -> Callable[[Sequence[int]], int]:
        """How many tokens' memory rows of some lengths take together."""
        return JoinedCache.footprint if self._pool is None else StaticCache.footprint

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user may want to know of how tokens are decoded."""
        if self._captured is None:
            return ()
        if self._captured.failure is None:
            return ("decode steps are captured as CUDA graphs",)
        return (f"decode steps are not captured as CUDA graphs: {self._captured.failure}",)

    def release(self) -> None:
        """Give back the memory of unused buffers."""
        if self._pool is not None:
            self._pool.clear()

    def decode(self, cache: KVCache, sequences: Sequence[SequenceState], adapter: Hashable) -> torch.Tensor:
        """``decode`` of a token for each sequence."""
        self._family.set_adapter(self._model, adapter)
        reset_dynamic_rope(self._ropes)

        def forward(given: Mapping[str, Any]) -> torch.Tensor:
            if self._captured is not None and isinstance(cache, StaticCache) and cache.buffers is not None:
                return self._captured.logits(cache.buffers, adapter, given)
            return logits_of(self._model, given)

        return decode(forward, cache, sequences)


def pool_for(loaded: LoadedModel, kv_cache_type: KVCacheType, *, static: bool | None) -> BufferPool | None:
    """Where a model's decode steps get fixed buffers from; ``None`` where its cache grows.

    ``MISTRALRS_STATIC_CACHE`` set to 1 or 0 is for or against them on every device. They cannot be spread over devices,
    and chunked attention asks where a chunk begins, which a ring does not know.
    """
    if static is None:
        named = os.environ.get("MISTRALRS_STATIC_CACHE")
        static = named == "1" if named in ("0", "1") else loaded.device.type == "cuda"
    if not static or kv_cache_type != "auto":
        return None
    text = loaded.model.config.get_text_config(decoder=True)
    kinds = tuple(getattr(text, "layer_types", None) or ())
    devices = {tensor.device for tensor in loaded.model.parameters()}
    return None if len(devices) > 1 or "chunked_attention" in kinds else BufferPool(loaded.device, kinds)
