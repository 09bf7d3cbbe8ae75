"""Memory that caches for later requests hold, and running answers may have back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from .answer import Answer
from .encoders.cache import EncoderCache
from .failures import exhausted
from .kv.prefix import PrefixStore
from .kv.snapshot import Snapshot

Result = TypeVar("Result")


class CacheReclaimer:
    """Evicts what is cached for later requests when memory runs out; ``releases`` give back what else is kept."""

    def __init__(self, prefixes: PrefixStore, encoded: EncoderCache, device: torch.device) -> None:
        self.prefixes = prefixes
        self.encoded = encoded
        self.device = device
        self.releases: list[Callable[[], None]] = []

    def retain(self, answer: Answer, snapshot: Callable[[], Snapshot]) -> None:
        """Keep the cache of an answer's sequence for prompts that go on from it, if there is memory for a copy."""
        prefix, sequence = answer.request.prefix, answer.sequence
        if prefix is None or not self.prefixes.entries:
            return
        try:
            kept = snapshot()
        except Exception as error:
            if not exhausted(error):
                raise
        else:
            self.prefixes.keep(prefix.extended(sequence.ids[0, : sequence.cached].tolist()), kept)

    def retry_after_evicting(self, work: Callable[[], Result]) -> Result:
        """Do ``work``, which has no effect where it fails; where it is out of memory, evict all and do it again."""
        try:
            return work()
        except Exception as error:
            if not exhausted(error):
                raise
        self.clear()
        return work()

    def clear(self) -> None:
        """Evict everything, and give back what PyTorch's allocator holds."""
        self.prefixes.clear()
        self.encoded.clear()
        for release in self.releases:
            release()
        match self.device.type:
            case "cuda":
                torch.cuda.empty_cache()
            case "mps":
                torch.mps.empty_cache()
