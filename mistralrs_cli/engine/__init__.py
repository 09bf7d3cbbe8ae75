"""Messages in, events out: the only way tokens are made."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ..errors import ContextOverflow, EngineDown, OptionError
from ..events import Reply, collect
from ..families import Prepared, require
from ..families.coordinates import grounding_tokens
from ..loading import LoadedModel
from ..loading.devices import free_memory
from ..messages import MODALITIES, DecodedMedia, Media, Message, decoded_media, media_of
from ..options import KVCacheType, Sampling, Tools
from .encoders.cache import EncoderCache, wrap
from .info import EngineStats, ModelInfo, PromptReport
from .kv.budget import ENCODED, PREFIXES, budget_for, media_bytes
from .kv.prefix import Plan, Prefix, PrefixStore, media_inputs, prefix_of, suffix_media
from .output_parser import OutputParser, ThinkingTokens
from .reclaim import CacheReclaimer
from .request import Request
from .runner import attention, fused_layers, widened_linear
from .sampling.dry import DryProcessor
from .sampling.grammar import GrammarCompiler
from .sampling.logprobs import Scores
from .sampling.params import SamplingParams, resolve
from .sampling.processors import penalties
from .sampling.sampler import SequenceSampler
from .sampling.thinking_budget import ThinkingBudget
from .scheduler import Scheduler
from .stream import EventStream
from .template_inputs import can_think, check_template_inputs, unread
from .token_bytes import is_byte_level, token_bytes
from .tools.parser import ToolParser
from .tools.support import ToolSupport
from .truncation import truncated

__all__ = ["Engine", "EngineStats", "EventStream", "ModelInfo", "PromptReport"]

NO_LIMIT = 1 << 20
AFTER = 8  # tokens of a text that is gone on with: what the first of the answer's may need to be read right
SHORT = 1 << 16  # characters that are taken apart in no time


class Engine:
    """A loaded model that answers any number of requests at once. Threads may share it.

    ``max_rows`` answers are made at a time. The caches of the last ``prefixes`` conversations are kept, so that a
    prompt that goes on from one of them prefills only what is new; where they are kept, so is what the model's towers
    made of media, in up to ``encoded_bytes``. The caches of running answers may take ``cache_bytes``, by default most
    of the memory that is free; a request waits until there is room for it. ``kv_cache_type`` says in how many bits they
    are. ``media_bytes`` is how much the media of
    requests that wait may well take together; it is the caller's to keep to. ``on_failure`` is called with what
    ended all requests at once; by default that is logged. ``share`` is how much of the free memory counts,
    where other engines of this process want the rest.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_rows: int = 32,
        prefixes: int = 0,
        cache_bytes: int | None = None,
        encoded_bytes: int | None = None,
        kv_cache_type: KVCacheType = "auto",
        on_failure: Callable[[BaseException], None] | None = None,
        share: float = 1.0,
    ) -> None:
        if max_rows < 1:
            raise OptionError("--max-seqs must be at least 1.")
        attention.use_for(loaded.model)
        widened_linear.use_for(loaded.model)
        fused_layers.use_for(loaded.model)
        self.loaded = loaded
        self._preparing = threading.Lock()  # a fast tokenizer keeps state while it encodes
        self._vocabulary = int(loaded.model.config.get_text_config(decoder=True).vocab_size)
        self._grammars = GrammarCompiler(loaded.tokenizer, self._vocabulary, loaded.end_tokens)
        self._thinking = thinking_tokens(loaded)
        self.budget = budget_for(loaded, cache_bytes, kv_cache_type, share)
        free = int(free_memory(str(loaded.device)) * share) if prefixes else 0
        self.prefixes = PrefixStore(prefixes, int(free * PREFIXES))
        self.encoded = EncoderCache(int(free * ENCODED) if encoded_bytes is None else encoded_bytes)
        if self.encoded.size:
            wrap(loaded.model, loaded.family.encoders)
        self.media_bytes = media_bytes()
        self._tooling = ToolSupport(loaded)
        self._byte_level = is_byte_level(loaded.tokenizer)
        self._grounding = grounding_tokens(loaded.family.config, loaded.tokenizer)
        self._longest = longest_text(loaded)
        reclaimer = CacheReclaimer(self.prefixes, self.encoded, loaded.device)
        self._scheduler = Scheduler(loaded, max_rows, reclaimer, self.budget, on_failure, kv_cache_type)

    def stream(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> EventStream:
        """Answer a conversation: ``Started``, then ``TextDelta`` (``ReasoningDelta``) as it comes, then ``Done``.

        With ``tools`` there may be a ``ToolCall``, too, or there has to be one.

        Media must be decoded. What is wrong with the request is raised here, before anything is queued: ``MediaError``,
        ``TemplateError``, ``ContextOverflow``, ``GrammarError``, ``OptionError``; what goes wrong later is raised by
        the stream. Closing the stream cancels within one token.
        """
        arrived = time.perf_counter()
        sampling = self._asked(messages, sampling or Sampling())
        loaded = self.loaded
        require(loaded.family, loaded.name, (medium.kind for medium in media_of(messages)), loaded.max_images)
        self.check_length(*texts_of(messages), *texts_beside(sampling, tools))
        tool_request = self._tooling.prepare(messages, sampling, tools)
        with self._preparing:
            prepared = loaded.family.prepare(loaded.processor, tool_request.messages, tool_request.template_inputs)
        return self._begin(prepared, tool_request.sampling, arrived, decoded_media(messages), tool_request.parser)

    def prompt_tokens(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> list[int]:
        """The tokens that ``stream`` would give the model."""
        ids: list[int] = self._prepared(messages, sampling, tools).inputs["input_ids"][0].tolist()
        return ids

    def report(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> PromptReport:
        """What ``stream`` would make of a conversation whose media are decoded. Nothing is queued."""
        prepared = self._prepared(messages, sampling, tools)
        return PromptReport(prepared.prompt_tokens, prepared.media)

    def _prepared(self, messages: Sequence[Message], sampling: Sampling | None, tools: Tools | None) -> Prepared:
        sampling = self._asked(messages, sampling or Sampling())
        self.check_length(*texts_of(messages), *texts_beside(sampling, tools))
        tool_request = self._tooling.prepare(messages, sampling, tools)
        with self._preparing:
            return self.loaded.family.prepare(
                self.loaded.processor, tool_request.messages, tool_request.template_inputs
            )

    def transcription(
        self,
        audio: Media,
        language: str | None = None,
        *,
        translate: bool = False,
        prompt: str | None = None,
        words: bool = False,
    ) -> tuple[list[Message], dict[str, Any]]:
        """A conversation that has speech written down, or translated, and its chat template's inputs.

        ``words`` asks for the times of words, which no language model gives.
        """
        return self.loaded.family.transcription(audio, language, translate=translate, prompt=prompt)

    def sampling_params(self, sampling: Sampling) -> SamplingParams:
        """How tokens would be sampled: the request's values, else the checkpoint's, else ours."""
        return resolve(sampling, self.loaded.sampling)

    def unread(self, sampling: Sampling) -> list[str]:
        """The template inputs that this model's chat template does not read."""
        return unread(self.loaded, sampling)

    def continue_text(self, prompt: str | Sequence[int], sampling: Sampling | None = None) -> EventStream:
        """Go on with a text, or with tokens, as they are: no chat template. Otherwise like ``stream``."""
        arrived = time.perf_counter()
        if isinstance(prompt, str):
            self.check_length(prompt)
        with self._preparing:
            ids = self.loaded.tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else list(prompt)
        return self._begin(plain(ids, self._vocabulary), replace(sampling or Sampling(), turn="open"), arrived)

    def _asked(self, messages: Sequence[Message], sampling: Sampling) -> Sampling:
        """Sampling without a request to think, where the model cannot think. Raises ``OptionError``."""
        if sampling.thinking_hint and not can_think(self.loaded):
            sampling = replace(sampling, thinking=None, reasoning_effort=None)
        check_template_inputs(self.loaded, sampling)
        if sampling.turn == "open" and not can_go_on(messages):
            raise OptionError(
                "Only a last message by the assistant, with text and without calls, can be continued.",
                "End with one, or leave continue_final_message out.",
                param="continue_final_message",
            )
        return sampling

    def check_length(self, *texts: str) -> None:
        """Raise ``ContextOverflow`` for more characters than the context could hold if all tokens were the longest.

        No other prompt is prepared meanwhile, so a text is not tokenized only to find it too long.
        """
        length = sum(map(len, texts))
        if self._longest is not None and length > self._longest:
            raise ContextOverflow(
                f"The prompt has {length:,} characters; {self.loaded.name} holds {self._longest:,} at most.",
                "Send a shorter text.",
            )

    def _begin(
        self,
        prepared: Prepared,
        sampling: Sampling,
        arrived: float,
        media: Sequence[DecodedMedia] = (),
        parser: ToolParser | None = None,
    ) -> EventStream:
        """Queue a prompt with its media; it arrived before it was prepared."""
        loaded = self.loaded
        params = resolve(sampling, loaded.sampling)
        if sampling.truncate:
            prepared = truncated(prepared, loaded.context_length, sampling.max_tokens)
        limit = self._limit(prepared, sampling)
        ids = prepared.inputs["input_ids"][0].tolist()
        processors = penalties(params, ids, self._vocabulary)
        if sampling.dry is not None:
            processors.append(DryProcessor(sampling.dry, loaded.tokenizer, ids))
        if sampling.grammar is not None:
            thought = self._thinking if self._thinking is not None and self._thinking.unfinished(ids) else None
            with self._preparing:
                self._grammars.read()
            end = None if thought is None else thought.end
            processors.append(self._grammars.processor(sampling.grammar, end))
        if sampling.thinking_budget is not None and self._thinking is not None:
            inside = self._thinking.unfinished(ids)
            processors.append(ThinkingBudget(self._thinking, sampling.thinking_budget, thinking=inside))
        prefix = self._prefix(prepared, media)
        request = Request(
            prepared=prepared,
            prefix=prefix,
            plan=None if prefix is None or sampling.echo else self._plan(prefix, media),
            sampling=sampling,
            sampler=SequenceSampler(params, processors, sampling.logprobs),
            transcript=OutputParser(
                self._decode if parser is None else self._tooling.decode,
                sampling.stop,
                self._thinking,
                ids,
                parser,
                after=ids[-AFTER:] if sampling.turn == "open" else (),
            ),
            limit=limit,
            arrived=arrived,
            end_tokens=frozenset() if parser is None else self._tooling.end_tokens,
            scores=None if sampling.logprobs is None else Scores(self.token_text, self.token_bytes, sampling.logprobs),
        )
        self._scheduler.submit(request)
        return EventStream(request)

    def _prefix(self, prepared: Prepared, media: Sequence[DecodedMedia]) -> Prefix | None:
        """What later prompts may know this one by, where caches are kept and the family's can be used again."""
        family = self.loaded.family
        if not self.prefixes.entries or not family.prefix_reuse or not prepared.reusable:
            return None
        placeholders = {token for kind in MODALITIES for token in family.placeholder_ids(self.loaded.processor, kind)}
        return prefix_of(prepared, media, placeholders, (prepared.adapter, family.batch_key(prepared.prompt_tokens)))

    def _plan(self, prefix: Prefix, media: Sequence[DecodedMedia]) -> Plan | None:
        """The part of a prompt that an earlier one has left in the cache."""
        found = self.prefixes.find(prefix)
        if found is None:
            return None
        fresh: dict[str, Any] = {}
        tokens = found[1]
        if new := suffix_media(prefix, media, tokens):
            with self._preparing:
                prepared = self.loaded.family.prepare(self.loaded.processor, [Message("user", new)])
            fresh = media_inputs(prepared.inputs)
        return Plan(tokens, fresh)

    def generate(
        self, messages: Sequence[Message], sampling: Sampling | None = None, tools: Tools | None = None
    ) -> Reply:
        """The whole answer at once: a fold over ``stream``."""
        with self.stream(messages, sampling, tools) as events:
            return collect(events)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """A text's tokens; ``special`` adds what the tokenizer puts around a text."""
        with self._preparing:
            ids: list[int] = self.loaded.tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids

    def count(self, text: str) -> int:
        """How many tokens a text has, without any around it."""
        return len(self.encode(text, special=False))

    def text_tokens(self) -> list[int]:
        """The ids of all tokens but the special ones."""
        tokenizer = self.loaded.tokenizer
        special = set(tokenizer.all_special_ids)
        return [token for token in range(min(self._vocabulary, len(tokenizer))) if token not in special]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of tokens; ``special`` shows those that are no text. Raises ``OptionError`` for unknown tokens."""
        for token in ids:
            if not 0 <= token < self._vocabulary:
                raise OptionError(f"The model has no token {token}.", f"Its tokens are 0 to {self._vocabulary - 1}.")
        text: str = self.loaded.tokenizer.decode(
            ids, skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )
        return text

    def token_text(self, token: int) -> str:
        """One token as text."""
        return self.decode([token], special=True)

    def token_bytes(self, token: int) -> bytes:
        """One token's own bytes, which need not be a whole character."""
        return token_bytes(self.loaded.tokenizer, token, byte_level=self._byte_level)

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        loaded, family = self.loaded, self.loaded.family
        return ModelInfo(
            name=loaded.name,
            family=family.name,
            modalities=tuple(kind for kind in MODALITIES if kind in family.modalities),
            context_length=loaded.context_length,
            max_images=loaded.max_images,
            audio_rate=family.audio_rate,
            video_sampling=family.sampling,
            can_think=can_think(loaded),
            vocabulary=self._vocabulary,
            device=str(loaded.device),
            dtype=str(loaded.model.dtype).removeprefix("torch."),
            notes=loaded.notes + self._scheduler.runner.notes,
        )

    @property
    def stats(self) -> EngineStats:
        """What the engine is doing now; any thread may ask."""
        return EngineStats(
            running=self.running,
            waiting=self.waiting,
            kv_capacity_tokens=self.budget.tokens,
            prefix_entries=len(self.prefixes),
            prefix_bytes=self.prefixes.taken,
            encoder_bytes=self.encoded.taken,
            encoder_hits=self.encoded.hits,
            encoder_misses=self.encoded.misses,
            failure=self.failure,
            kv_tokens=self._scheduler.cached_tokens,
        )

    @property
    def running(self) -> int:
        """Sequences being prefilled or decoded now."""
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        """Requests that wait for a row."""
        return self._scheduler.waiting

    @property
    def failure(self) -> EngineDown | None:
        """Why the engine is down, if it is; else ``None``."""
        return self._scheduler.failure

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
        """The text of an answer: without control tokens, but for those around boxes and points."""
        tokenizer, shown = self.loaded.tokenizer, self._grounding.intersection(ids)
        if shown:
            hidden = set(tokenizer.all_special_ids) - shown
            ids = [token for token in ids if token not in hidden]
        text: str = tokenizer.decode(ids, skip_special_tokens=not shown, clean_up_tokenization_spaces=False)
        return text

    def _limit(self, prepared: Prepared, sampling: Sampling) -> int:
        """The most tokens the answer may have: what was asked for, within what the context leaves."""
        if sampling.max_tokens is not None and sampling.max_tokens < (0 if sampling.echo else 1):
            raise OptionError("--max-tokens must be at least 1.")
        wanted = sampling.max_tokens
        if wanted is None:
            wanted = self.loaded.sampling.get("max_new_tokens") or NO_LIMIT
        context = self.loaded.context_length
        if context is None:
            return int(wanted)
        if prepared.prompt_tokens >= context:
            raise ContextOverflow(
                f"The prompt has {prepared.prompt_tokens:,} tokens, but {self.loaded.name} holds {context:,}.",
                "Send fewer or smaller media (--max-edge, --video-frames), or a shorter text.",
            )
        return int(min(wanted, context - prepared.prompt_tokens))


def longest_text(loaded: LoadedModel) -> int | None:
    """Characters that the context could hold at most; ``None`` where it has no end."""
    longest = max(map(len, loaded.tokenizer.get_vocab()))
    return None if loaded.context_length is None else max(SHORT, loaded.context_length * longest)


def can_go_on(messages: Sequence[Message]) -> bool:
    """Whether a conversation ends with something that the model may go on with."""
    last = messages[-1] if messages else None
    return last is not None and last.role == "assistant" and bool(last.text.strip()) and not last.tool_calls


def texts_of(messages: Sequence[Message]) -> Iterator[str]:
    """All that is written in a conversation."""
    for message in messages:
        yield from (message.text, message.reasoning)
        for call in message.tool_calls:
            yield from (call.id, call.name, call.arguments)


def texts_beside(sampling: Sampling, tools: Tools | None) -> Iterator[str]:
    """All that a chat template writes beside the conversation."""
    if tools is not None:
        yield json.dumps(tools.definitions)
    if sampling.template_kwargs:
        yield json.dumps(dict(sampling.template_kwargs), default=str)


def plain(ids: Sequence[int], vocabulary: int) -> Prepared:
    """Tokens as a prompt without media."""
    import torch

    if not ids:
        raise ContextOverflow("The prompt is empty.", "Say something.")
    for token in ids:
        if not 0 <= token < vocabulary:
            raise OptionError(f"The model has no token {token}.", f"Its tokens are 0 to {vocabulary - 1}.")
    tokens = torch.tensor([list(ids)])
    return Prepared({"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}, len(ids), ())


def thinking_tokens(loaded: LoadedModel) -> ThinkingTokens | None:
    """The tokens around a thought, where the family's are tokens of this vocabulary."""
    vocabulary = loaded.tokenizer.get_vocab()
    begin, end, heading = loaded.family.thinking
    if begin in vocabulary and end in vocabulary:
        return ThinkingTokens(vocabulary[begin], vocabulary[end], heading)
    return None
