"""The prompt that is being prefilled, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .kv.prefix import Reuse
from .request import Request
from .runner.model_runner import ModelRunner
from .runner.prefill import Prefill
from .sequence import SequenceState


class Prompt:
    """What is run of a request's prompt, with ``inputs`` the processor's tensors.

    ``check_cancelled`` is called again and again while the model runs; what it raises leaves the prompt.
    """

    def __init__(
        self,
        runner: ModelRunner,
        request: Request,
        inputs: dict[str, Any],
        reuse: Reuse | None,
        check_cancelled: Callable[[], None],
    ) -> None:
        self.request = request
        self._runner = runner
        self._inputs = inputs
        self._reuse = reuse
        self._check_cancelled = check_cancelled
        self._begun: Prefill | None = None

    @property
    def begun(self) -> bool:
        """Whether its media are encoded."""
        return self._begun is not None

    @property
    def divisible(self) -> bool:
        """Whether what is left can be run in chunks, so that nothing is lost between two of them."""
        return self._begun is not None and self._begun.chunks is not None

    @property
    def left(self) -> int:
        """How many tokens are to be run, as far as that is known."""
        return self.request.prepared.prompt_tokens if self._begun is None else self._begun.left

    def begin(self) -> None:
        """Encode the media; nothing if that was done. After a failure it can be called again."""
        if self._begun is None:
            self._begun = self._runner.begin(
                self._inputs,
                self.request.prepared.adapter,
                self._reuse,
                every=self.request.scores_prompt,
                check_cancelled=self._check_cancelled,
            )

    def advance(self, tokens: int | None = None) -> tuple[SequenceState, torch.Tensor] | None:
        """Run about so many tokens more, or all that are left; after the last one its sequence and logits.

        A prompt whose forward pass fails is begun again by the next call.
        """
        self.begin()
        assert self._begun is not None
        try:
            return self._runner.advance(
                self._begun, self.request.prepared.adapter, tokens, check_cancelled=self._check_cancelled
            )
        except BaseException:
            self._begun = None
            raise
