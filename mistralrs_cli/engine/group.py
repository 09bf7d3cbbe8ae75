"""A batch with the answers its rows belong to: they decode together, and fail one by one where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial

import torch

from ..errors import MistralrsError
from ..events import FinishReason
from ..loading import LoadedModel
from .failures import exhausted, translate
from .kv.layers import joinable
from .kv.snapshot import extract
from .reclaim import CacheReclaimer
from .request import Answer
from .runner.decode import Batch


class DecodeGroup:
    """A batch, the answers its rows belong to, in the same order, and the mode in which the model must run them.

    ``group`` is the ``batch_key`` that its rows had when they came; ``kept`` what is there for later requests, and goes
    first where memory runs out.
    """

    def __init__(self, loaded: LoadedModel, mode: Hashable, group: Hashable, kept: CacheReclaimer) -> None:
        self.loaded = loaded
        self.mode = mode
        self.group = group
        self.batch = Batch(loaded.model)
        self.kept = kept
        self.answers: list[Answer] = []

    def join(self, answer: Answer) -> None:
        """Let one more answer decode along. Where that fails, it fails alone: the batch is as it was before."""
        try:
            self.kept.retry_after_evicting(lambda: self.batch.join(answer.row))
        except Exception as error:
            answer.request.post(translate(error))
        else:
            self.answers.append(answer)

    def leave(self, leaving: Mapping[int, FinishReason | None]) -> None:
        """Drop the answers with these indices, and end those that have a reason.

        What they hold is kept first: who reads the end may send the next turn at once.
        """
        if leaving:
            for index, reason in leaving.items():
                answer = self.answers[index]
                self.kept.keep(answer, self.batch.cache, index)
                if reason is not None:
                    answer.finish(reason)
            self.drop(set(leaving))

    def drop(self, leaving: set[int]) -> None:
        """Drop the answers with these indices."""
        self.batch.leave(leaving)
        self.answers = [answer for index, answer in enumerate(self.answers) if index not in leaving]

    def part(self, leaving: set[int]) -> list[Answer]:
        """Let these answers go, each with its cache, to join another lane; one that cannot take it fails alone."""
        parting = []
        for index in sorted(leaving):
            answer = self.answers[index]
            try:
                taken = self.kept.retry_after_evicting(partial(extract, self.batch.cache, index, answer.row.cached))
            except Exception as error:
                answer.request.post(translate(error))
            else:
                answer.row.cache = taken.cache
                parting.append(answer)
        if leaving:
            self.drop(leaving)
        return parting

    def dismiss(self) -> None:
        """Let go of the answers that were closed."""
        self.leave({index: "canceled" for index, answer in enumerate(self.answers) if answer.request.cancelled})

    def step(self) -> None:
        """One token for every answer; who has ended or failed leaves."""
        self.dismiss()
        if self.answers:
            self.loaded.family.enter(self.loaded.model, self.mode)
            self.leave(self.draw(self.logits()))

    def draw(self, logits: torch.Tensor) -> dict[int, FinishReason | None]:
        """Draw a token for every answer from ``logits`` float32 [answers, vocabulary]; which have ended, and why.

        Drawing that fails concerns one answer alone: it is told, and has no reason.
        """
        ended: dict[int, FinishReason | None] = {}
        for index, answer in enumerate(self.answers):
            try:
                reason = answer.draw(logits[index : index + 1])
            except Exception as error:
                answer.request.post(translate(error))
                ended[index] = None
            else:
                if reason is not None:
                    ended[index] = reason
        return ended

    def logits(self) -> torch.Tensor:
        """The next tokens' logits of as many answers as there is memory for; the others have ended with an error."""
        while joinable(self.batch.cache):
            try:
                return self.kept.retry_after_evicting(self.batch.step)
            except Exception as error:
                if not exhausted(error) or len(self.answers) == 1:
                    raise
                self.answers[self.costliest].request.post(translate(error))
            self.drop({self.costliest})
        return self.batch.step()  # a layer of another kind may have been written into, so that there is no way back

    @property
    def costliest(self) -> int:
        """The longest answer: all rows are as wide as that one. Of equals the newest, which has the least to lose."""
        return max(range(len(self.answers)), key=lambda index: (self.answers[index].row.cached, index))

    def attempt(self, move: Callable[[], None]) -> None:
        """Do something with the batch; where that fails halfway the rows cannot be trusted any more, and all fail.

        So do those that were on their way to another lane.
        """
        before = list(self.answers)
        try:
            move()
        except Exception as error:
            for answer in before:
                answer.request.fail(translate(error))
            self.fail(translate(error))

    def fail(self, error: MistralrsError) -> None:
        """End every answer with an error."""
        for answer in self.answers:
            answer.request.fail(error)
        self.answers = []
