"""Messages in, events out: the only way tokens are made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from ..errors import ContextOverflow, OptionError
from ..events import Reply, collect
from ..families import Prepared, require
from ..loading import LoadedModel
from ..messages import Message, media_of
from ..options import Sampling
from .grammar import GrammarCompiler
from .request import EventStream, Request
from .sampling import extra_processors, settle
from .scheduler import Scheduler
from .transcript import ThinkingTokens, Transcript

__all__ = ["Engine", "EventStream"]

NO_LIMIT = 1 << 20


class Engine:
    """A loaded model that answers any number of requests at once. Threads may share it."""

    def __init__(self, loaded: LoadedModel, *, max_rows: int = 32) -> None:
        if max_rows < 1:
            raise OptionError("--max-seqs must be at least 1.")
        self.loaded = loaded
        self._preparing = threading.Lock()  # a fast tokenizer keeps state while it encodes
        vocabulary = loaded.model.config.get_text_config(decoder=True).vocab_size
        self._grammars = GrammarCompiler(loaded.tokenizer, vocabulary, loaded.end_tokens)
        self._thinking = thinking_tokens(loaded)
        self._scheduler = Scheduler(loaded, max_rows)

    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> EventStream:
        """Answer a conversation: ``Started``, then ``TextDelta`` (``ReasoningDelta``) as it comes, then ``Done``.

        Media must be decoded. What is wrong with the request is raised here, before anything is queued: ``MediaError``,
        ``TemplateError``, ``ContextOverflow``, ``GrammarError``, ``OptionError``; what goes wrong later is raised by
        the stream. Closing the stream cancels within one token.
        """
        sampling = sampling or Sampling()
        loaded = self.loaded
        require(loaded.family, loaded.name, (medium.kind for medium in media_of(messages)))
        warping = settle(sampling, loaded.sampling)
        with self._preparing:
            prepared = loaded.family.prepare(loaded.processor, messages, sampling.template_inputs)
            processors = extra_processors(sampling, prepared.prompt_tokens)
            if sampling.grammar is not None:
                processors.append(self._grammars.processor(sampling.grammar, prepared.prompt_tokens))
        request = Request(
            prepared=prepared,
            sampling=sampling,
            warping=warping,
            processors=processors,
            transcript=Transcript(
                self._decode, sampling.stop, self._thinking, prepared.inputs["input_ids"][0].tolist()
            ),
            limit=self._limit(prepared, sampling),
        )
        self._scheduler.submit(request)
        return EventStream(request)

    def generate(self, messages: Sequence[Message], sampling: Sampling | None = None) -> Reply:
        """The whole answer at once: a fold over ``stream``."""
        with self.stream(messages, sampling) as events:
            return collect(events)

    @property
    def running(self) -> int:
        """Answers being decoded now."""
        return self._scheduler.running

    def close(self) -> None:
        """End the worker; unfinished answers fail."""
        self._scheduler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.loaded.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _limit(self, prepared: Prepared, sampling: Sampling) -> int:
        """The most tokens the answer may have: what was asked for, within what the context leaves."""
        if sampling.max_tokens is not None and sampling.max_tokens < 1:
            raise OptionError("--max-tokens must be at least 1.")
        wanted = sampling.max_tokens or self.loaded.sampling.get("max_new_tokens") or NO_LIMIT
        context = self.loaded.context_length
        if context is None:
            return int(wanted)
        if prepared.prompt_tokens >= context:
            raise ContextOverflow(
                f"The prompt has {prepared.prompt_tokens:,} tokens, but {self.loaded.name} holds {context:,}.",
                "Send fewer or smaller media (--max-edge, --video-frames), or a shorter text.",
            )
        return int(min(wanted, context - prepared.prompt_tokens))


def thinking_tokens(loaded: LoadedModel) -> ThinkingTokens | None:
    """The tokens around a thought, where the family's are tokens of this vocabulary."""
    vocabulary = loaded.tokenizer.get_vocab()
    begin, end, heading = loaded.family.thinking
    if begin in vocabulary and end in vocabulary:
        return ThinkingTokens(vocabulary[begin], vocabulary[end], heading)
    return None
