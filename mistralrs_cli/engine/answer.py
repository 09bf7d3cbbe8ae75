"""One answer on the worker thread: a request, its sequence, and what its tokens have become so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import torch

from ..events import Done, Event, FinishReason, Timing, Usage
from .request import Request
from .sampling.batch import Sampled, sample
from .sampling.processors import TransformersProcessors
from .sequence import SequenceState


class Answer:
    """A request being answered."""

    def __init__(self, request: Request, sequence: SequenceState, end_tokens: frozenset[int]) -> None:
        self.request = request
        self.sequence = sequence
        if sequence.processors:
            own = TransformersProcessors(sequence.processors, sequence.ids[0].tolist())
            request.sampler.processors.insert(0, own)
        self.scores = request.scores
        # where a grammar is complete there is nothing left to say but an end token, however often it is ignored
        ignored = request.sampling.ignore_eos and request.sampling.grammar is None
        self.end_tokens = frozenset() if ignored else end_tokens | request.end_tokens
        self.tokens = 0
        self.thought = 0
        self.replay: deque[int] = deque()  # tokens sampled before a preemption that the cache has yet to hold
        self.first_token = self.prefill = 0.0

    @property
    def longest(self) -> int:
        """Tokens the sequence will have in the end, as far as that is known."""
        return max(self.request.longest, self.sequence.cached)

    def begin(self, logits: torch.Tensor) -> FinishReason | None:
        """The first token, as ``sample``; with log probabilities of the prompt, ``logits`` are of all positions."""
        if self.request.scores_prompt and self.scores is not None:
            self.request.post(self.scores.prompt(logits, self.sequence.ids[0].tolist()))
            logits = logits[:, -1].float()
        return "length" if self.request.limit < 1 else self.sample(logits)

    def resume(self, sequence: SequenceState) -> None:
        """Go on after a preemption, with a sequence that ran the prompt again: the tokens sampled since are decoded
        again, exactly as before, and not sampled."""
        self.replay = deque(self.sequence.ids[0, self.sequence.prompt_tokens :].tolist())
        self.sequence = sequence
        self.replayed()

    def replayed(self) -> bool:
        """Append the next token of a replay; whether there was one."""
        if not self.replay:
            return False
        self.sequence.append(self.replay.popleft())
        return True

    def sample(self, logits: torch.Tensor) -> FinishReason | None:
        """Sample a token from ``logits`` float32 [1, vocabulary] for this answer alone, and ``accept`` it."""
        if self.replayed():
            return None
        return self.accept(sample(logits, [self.request.sampler])[0])

    def accept(self, sampled: Sampled | Exception) -> FinishReason | None:
        """Post the text of a sampled token; if the answer ends with it, why. An error is raised."""
        if isinstance(sampled, Exception):
            raise sampled
        token = sampled.token
        self.sequence.append(token)
        self.tokens += 1
        if self.tokens == 1:
            now = time.perf_counter()
            self.first_token, self.prefill = now - self.request.arrived, now - self.request.prefilling
        transcript = self.request.transcript
        if token in self.end_tokens:
            if self.request.sampling.echo:  # the end token is reported as well
                self.post_logprobs(sampled)
            return "stop"
        if transcript.thinking:
            self.thought += 1
        else:
            self.post_logprobs(sampled)
        self.post(transcript.push(token))
        if transcript.stopped:
            return "stop"
        if self.tokens >= self.request.limit:
            return "length"
        return None

    def post_logprobs(self, sampled: Sampled) -> None:
        """Send the log probabilities of a token, where they were asked for."""
        if self.scores is not None and sampled.logprobs is not None:
            self.request.post(self.scores.token(sampled.token, sampled.logprobs))

    def post(self, events: Iterator[Event]) -> None:
        """Send events to the caller."""
        for event in events:
            self.request.post(event)

    def finish(self, reason: FinishReason) -> None:
        """Send what is held back, and the end."""
        self.post(self.request.transcript.flush(cut=reason == "length"))
        if reason == "stop" and self.request.transcript.called:
            reason = "tool_calls"
        total = time.perf_counter() - self.request.arrived
        timing = Timing(self.first_token, total, self.prefill)
        stop, incomplete = self.request.transcript.stopped_by, reason != "canceled" and self.incomplete
        self.request.post(Done(reason, self.usage(), timing, stop, incomplete))

    @property
    def incomplete(self) -> bool:
        """Whether the answer was to follow a grammar, and has not reached its end."""
        return self.request.sampling.grammar is not None and not self.request.sampler.grammar_complete

    def usage(self) -> Usage:
        """Token counts so far."""
        taken = dict.fromkeys(("image", "audio", "video"), 0)
        for report in self.request.prepared.media:
            taken[report.kind] += report.tokens
        return Usage(
            prompt_tokens=self.request.prepared.prompt_tokens,
            completion_tokens=self.tokens,
            reasoning_tokens=self.thought,
            cached_tokens=self.request.cached,
            image_tokens=taken["image"],
            audio_tokens=taken["audio"],
            video_tokens=taken["video"],
        )
