"""The only caller of the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from ...loading import LoadedModel
from ..kv.base import KVCache
from ..kv.prefix import Reuse
from ..sequence import SequenceState
from .cancellation import ForwardHooks
from .decode import decode
from .prefill import prefill
from .rotary import dynamic_rope_modules, reset_dynamic_rope


class ModelRunner:
    """Runs prompts and decoding steps, with the adapter that each of them wants."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._family = loaded.family
        self._hooks = ForwardHooks(loaded.model)
        self._ropes = dynamic_rope_modules(loaded.model)

    def prefill(
        self,
        inputs: dict[str, Any],
        adapter: Hashable,
        reuse: Reuse | None = None,
        *,
        every: bool = False,
        check_cancelled: Callable[[], None],
    ) -> tuple[SequenceState, torch.Tensor]:
        """``prefill`` of a prompt. What ``check_cancelled`` raises, called again and again meanwhile, ends it."""
        self._family.enter(self._model, adapter)
        with self._hooks.watching(check_cancelled):
            return prefill(self._model, inputs, reuse, every=every)

    def decode(self, cache: KVCache, sequences: Sequence[SequenceState], adapter: Hashable) -> torch.Tensor:
        """``decode`` of a token for each sequence."""
        self._family.enter(self._model, adapter)
        reset_dynamic_rope(self._ropes)
        return decode(self._model, cache, sequences)
