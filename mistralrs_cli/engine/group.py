"""Answers that decode together, one forward pass a token, and fail one by one where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial

import torch

from ..errors import MistralrsError
from ..events import FinishReason
from .answer import Answer
from .failures import exhausted, translate
from .kv.base import KVCache
from .reclaim import CacheReclaimer
from .runner.model_runner import ModelRunner
from .sampling.batch import sample


class DecodeGroup:
    """A KV cache and the answers its rows belong to, in the same order, with the adapter the model runs them with.

    ``batch_key`` is the family's key that its sequences had when they were added; ``batch`` says that their requests
    have this priority.
    """

    def __init__(
        self,
        runner: ModelRunner,
        cache: KVCache,
        adapter: Hashable,
        batch_key: Hashable,
        reclaimer: CacheReclaimer,
        *,
        batch: bool = False,
    ) -> None:
        self.batch = batch
        self.runner = runner
        self.cache = cache
        self.adapter = adapter
        self.batch_key = batch_key
        self.reclaimer = reclaimer
        self.answers: list[Answer] = []

    def add(self, answer: Answer) -> None:
        """Let one more answer decode along. Where that fails, it fails alone: the group is as it was before."""
        sequence = answer.sequence
        try:
            if (prefilled := sequence.cache) is not None:
                self.reclaimer.retry_after_evicting(lambda: self.cache.add(prefilled))
        except Exception as error:
            answer.request.post(translate(error))
        else:
            sequence.cache = None
            self.answers.append(answer)

    def remove(self, leaving: Mapping[int, FinishReason | None]) -> None:
        """Remove the answers with these indices, and end those that have a reason.

        Their caches are retained first: who reads the end may send the next turn at once.
        """
        if leaving:
            for index, reason in leaving.items():
                answer = self.answers[index]
                if self.cache.batchable:
                    self.reclaimer.retain(answer, partial(self.cache.snapshot, index))
                if reason is not None:
                    answer.finish(reason)
            self.drop(set(leaving))

    def drop(self, leaving: set[int]) -> None:
        """Remove the answers with these indices without a word to anybody."""
        self.cache.remove(leaving)
        self.answers = [answer for index, answer in enumerate(self.answers) if index not in leaving]

    def take(self, leaving: set[int]) -> list[Answer]:
        """Remove these answers, each with its cache, to be added to other groups; one that cannot be copied fails."""
        taken = []
        for index in sorted(leaving):
            answer = self.answers[index]
            try:
                snapshot = self.reclaimer.retry_after_evicting(partial(self.cache.snapshot, index))
            except Exception as error:
                answer.request.post(translate(error))
            else:
                answer.sequence.cache = snapshot.restored()
                taken.append(answer)
        if leaving:
            self.drop(leaving)
        return taken

    def preempt(self, index: int) -> Answer:
        """Give up the cache of an answer, whose request has to be prefilled again; its tokens are kept."""
        answer = self.answers[index]
        self.drop({index})
        return answer

    def remove_cancelled(self) -> None:
        """Remove the answers whose streams were closed."""
        self.remove({index: "canceled" for index, answer in enumerate(self.answers) if answer.request.cancelled})

    def step(self) -> None:
        """One token for every answer; who has ended or failed is removed."""
        self.remove_cancelled()
        if self.answers:
            self.remove(self.sample(self.logits()))

    def sample(self, logits: torch.Tensor) -> dict[int, FinishReason | None]:
        """Sample a token for every answer from ``logits`` float32 [answers, vocabulary]; which have ended, and why.

        An answer that fails does so alone, and has no reason.
        """
        ended: dict[int, FinishReason | None] = {}
        sampling = [index for index, answer in enumerate(self.answers) if not answer.replayed()]
        if len(sampling) < len(self.answers):
            logits = logits[sampling]
        sampled = sample(logits, [self.answers[index].request.sampler for index in sampling]) if sampling else []
        for index, result in zip(sampling, sampled, strict=True):
            answer = self.answers[index]
            try:
                reason = answer.accept(result)
            except Exception as error:
                answer.request.post(translate(error))
                ended[index] = None
            else:
                if reason is not None:
                    ended[index] = reason
        return ended

    def logits(self) -> torch.Tensor:
        """The next tokens' logits of as many answers as there is memory for; the others have ended with an error."""
        while self.cache.batchable:
            try:
                return self.reclaimer.retry_after_evicting(self.decode)
            except Exception as error:
                if not exhausted(error) or len(self.answers) == 1:
                    raise
                self.answers[self.costliest].request.post(translate(error))
            self.drop({self.costliest})
        return self.decode()  # a layer of another kind may have been written into, so that it cannot be rolled back

    def decode(self) -> torch.Tensor:
        """The next tokens' logits, float32 [answers, vocabulary]."""
        return self.runner.decode(self.cache, [answer.sequence for answer in self.answers], self.adapter)

    @property
    def costliest(self) -> int:
        """The longest answer: all rows are as wide as that one. Of equals the newest, which has the least to lose."""
        return max(range(len(self.answers)), key=lambda index: (self.answers[index].sequence.cached, index))

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something with the group; where that fails halfway its rows cannot be trusted any more, and all fail.

        So do those that were on their way to another group.
        """
        before = list(self.answers)
        try:
            action()
        except Exception as error:
            for answer in before:
                answer.request.fail(translate(error))
            self.fail(translate(error))

    def fail(self, error: MistralrsError) -> None:
        """End every answer with an error."""
        for answer in self.answers:
            answer.request.fail(error)
        self.answers = []
