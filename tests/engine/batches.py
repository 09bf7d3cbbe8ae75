"""Sequences that are prefilled and decoded by hand, without an engine."""

from collections.abc import Collection

import torch

from mistralrs_cli.engine.kv.base import KVCache
from mistralrs_cli.engine.kv.joined import JoinedCache
from mistralrs_cli.engine.runner.model_runner import ModelRunner
from mistralrs_cli.engine.sequence import SequenceState
from mistralrs_cli.loading import LoadedModel
from mistralrs_cli.options import KVCacheType


class Batch:
    """Sequences and the cache of all of them."""

    def __init__(self, loaded: LoadedModel, kv_cache_type: KVCacheType = "auto", *, static: bool = False) -> None:
        self.runner = ModelRunner(loaded, kv_cache_type, static=static)
        self.cache: KVCache = JoinedCache(loaded.device)
        self.sequences: list[SequenceState] = []

    def add(self, sequence: SequenceState) -> None:
        assert sequence.cache is not None
        if not self.sequences:
            self.cache = self.runner.new_cache(sequence)
        self.cache.add(sequence.cache)
        sequence.cache = None
        self.sequences.append(sequence)

    def remove(self, leaving: Collection[int]) -> None:
        self.cache.remove(leaving)
        self.sequences = [sequence for index, sequence in enumerate(self.sequences) if index not in leaving]

    def step(self) -> torch.Tensor:
        """Logits float32 [sequences, vocabulary]."""
        return self.runner.decode(self.cache, self.sequences, None)
