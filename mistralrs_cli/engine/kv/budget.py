"""How much memory running answers may take together, so that none begins that the others leave no room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import OutOfMemory
from ...loading import LoadedModel
from ...loading.devices import free_memory
from ...loading.memory import token_cache_size
from ...options import KVCacheType
from .joined import JoinedCache

# shares of the memory that is free once the model is loaded: for running answers, for what is kept of earlier
# conversations, and for what the towers made of their media; the rest is for activations. Media that wait to be read
# are in the memory of the host, whatever device the model is on
SHARE, PREFIXES, ENCODED, MEDIA = 0.7, 1 / 8, 1 / 64, 1 / 16
GROWTH = 2  # a buffer that doubles holds up to twice what is in it
OPEN_END = 2048  # tokens reserved for an answer without a limit


class Budget:
    """Bytes for the KV caches of all rows. ``footprint`` says how many tokens' memory rows take together."""

    def __init__(
        self, size: int, per_token: float, footprint: Callable[[Sequence[int]], int] = JoinedCache.footprint
    ) -> None:
        self.size = size
        self.per_token = per_token
        self.footprint = footprint

    @property
    def tokens(self) -> int:
        """How many tokens all rows may have together."""
        return int(self.size / max(self.per_token * GROWTH, 1.0))

    def check(self, prompt_tokens: int) -> None:
        """Raise ``OutOfMemory`` for a prompt that does not fit even alone."""
        if prompt_tokens * self.per_token > self.size:
            raise OutOfMemory(
                f"The prompt's {prompt_tokens:,} tokens would take more memory than there is.",
                "Send fewer or smaller media, or a shorter text.",
            )

    def admits(self, running: Sequence[int], tokens: int, others: Sequence[int] = ()) -> bool:
        """Whether a row of ``tokens`` tokens in the end fits beside rows of those lengths; alone it is always tried.

        ``others`` are rows that are decoded apart from these.
        """
        if not running and not others:
            return True
        return self.footprint([*running, tokens]) + (self.footprint(others) if others else 0) <= self.tokens

    def learn(self, bytes_per_token: float) -> None:
        """Trust what a real cache takes more than what the configuration says."""
        self.per_token = max(self.per_token, bytes_per_token)


def budget_for(
    loaded: LoadedModel, size: int | None = None, stored: KVCacheType = "auto", share: float = 1.0
) -> Budget:
    """Most of this ``share`` of the memory that is free now, or ``size`` bytes.

    Keys and values are ``stored`` in as many bits.
    """
    if size is None:
        size = int(free_memory(str(loaded.device)) * SHARE * share)
    return Budget(size, token_cache_size(loaded.family.text_config, loaded.model.dtype.itemsize, stored))


def media_bytes() -> int:
    """A share of the host's memory that is free now, for media that wait to be read."""
    return int(free_memory("cpu") * MEDIA)
