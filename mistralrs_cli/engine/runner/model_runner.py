"""The only caller of the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from ...loading import LoadedModel
from ...options import KVCacheType
from ..kv.base import KVCache
from ..kv.layers import attends
from ..kv.prefix import Reuse
from ..kv.quantized import Scratch
from ..sequence import SequenceState
from .cancellation import ForwardHooks
from .chunks import chunks_of
from .decode import decode
from .prefill import Prefill, begin
from .rotary import dynamic_rope_modules, reset_dynamic_rope


class ModelRunner:
    """Runs prompts and decoding steps, with the adapter that each of them wants.

    Their keys and values are kept as ``kv_cache_type`` says.
    """

    def __init__(self, loaded: LoadedModel, kv_cache_type: KVCacheType = "auto") -> None:
        self._model = loaded.model
        self._family = loaded.family
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

    def decode(self, cache: KVCache, sequences: Sequence[SequenceState], adapter: Hashable) -> torch.Tensor:
        """``decode`` of a token for each sequence."""
        self._family.set_adapter(self._model, adapter)
        reset_dynamic_rope(self._ropes)
        return decode(self._model, cache, sequences)
