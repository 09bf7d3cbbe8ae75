"""What is kept for later requests: the caches of prompts and answers, and what towers made of media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .encoders.cache import EncoderCache
from .failures import exhausted
from .kv.layers import joinable
from .kv.prefix import PrefixStore
from .kv.snapshot import extract
from .request import Answer

Result = TypeVar("Result")


class CacheReclaimer:
    """Memory that running answers may have back at any time."""

    def __init__(self, prefixes: PrefixStore, encoded: EncoderCache, device: torch.device) -> None:
        self.prefixes = prefixes
        self.encoded = encoded
        self.device = device

    def keep(self, answer: Answer, cache: Any, index: int) -> None:
        """Keep what row ``index`` of a cache holds for prompts that go on from there, if there is memory for it."""
        prefix, row = answer.request.prefix, answer.row
        if prefix is None or not self.prefixes.entries or not joinable(cache):
            return
        try:
            stored = extract(cache, index, row.cached)
        except Exception as error:
            if not exhausted(error):
                raise
        else:
            self.prefixes.keep(prefix.extended(row.ids[0, : row.cached].tolist()), stored)

    def retry_after_evicting(self, work: Callable[[], Result]) -> Result:
        """Do something that leaves all as it was where it fails; for want of memory it is done again without these."""
        try:
            return work()
        except Exception as error:
            if not exhausted(error):
                raise
        self.clear()
        return work()

    def clear(self) -> None:
        """Let go of everything, and of what the allocator holds back."""
        self.prefixes.clear()
        self.encoded.clear()
        match self.device.type:
            case "cuda":
                torch.cuda.empty_cache()
            case "mps":
                torch.mps.empty_cache()
