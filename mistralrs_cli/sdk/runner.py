"""A model in this process: load it once, ask it from any number of threads."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args, overload

from ..events import Done, MediaReport, Reply, collect
from ..messages import MediaOptions, Message
from ..options import KVCacheType, MediaPolicy, ModelOptions, Sampling
from ..protocol import choice, conversation, head, together, usage
from ..registry import ModelSpec, RegistryLimits
from ..registry.given import spec_of
from .batch import Batch, BatchProgress, BatchResult, OnError, Stoppable
from .chunks import Chunks, streamed
from .from_json import chat_response, completion_response
from .models import RunnerModel, RunnerModels
from .parts import read_part
from .problems import RequestError, refuse, refuse_halves, translated
from .requests import ChatCompletionRequest, CompletionRequest, of_kind
from .responses import ChatCompletionResponse, CompletionResponse
from .transcription import Asked, Recording, TranscriptionResponse, recording
from .values import at_least, instance, layers_of, number, one_of, path_of, tokens_of
from .which import MultimodalPlain, Plain, chosen

if TYPE_CHECKING:
    from ..engine import Engine, EventStream
    from .remote import RemoteRunner

AnyWhich = Plain | MultimodalPlain | str | os.PathLike[str]
MAX_SEQS = 16
AHEAD = 2
"""Requests of a batch whose media are read while as many as may be are answered."""


class Runner(RunnerModels):
    """A loaded model, or several. Threads may share it: their requests are answered together.

    ``which`` is a ``Which``, or the model alone: a hub id, a folder, or ``"demo"``; several are a list of those, or a
    dictionary that names them. Options of one of several follow its name: ``"OWNER/NAME@quant=4,keep=10m"``. At most
    ``max_models_loaded`` are in memory at once, as many as fit by default. The parameters are the original's,
    in its order; one that does nothing here raises ``ValueError`` when it is set. Use it in a ``with`` block, or
    ``close`` it.

    >>> with Runner("demo") as model:
    ...     model.send_chat_completion_request(ChatCompletionRequest("Hello", max_tokens=1)).choices[0].finish_reason
    'length'
    """

    def __init__(
        self,
        which: AnyWhich | Sequence[AnyWhich] | Mapping[str, AnyWhich],
        max_seqs: int = MAX_SEQS,
        no_kv_cache: bool = False,
        prefix_cache_n: int = ModelOptions.prefix_cache_n,
        token_source: str = "cache",
        mtp_model: Any = None,
        mtp_n_predict: Any = None,
        chat_template: str | os.PathLike[str] | None = None,
        jinja_explicit: str | os.PathLike[str] | None = None,
        num_device_layers: Sequence[str] | str | int | None = None,
        in_situ_quant: str | int | None = None,
        anymoe_config: Any = None,
        pa_gpu_mem: Any = None,
        pa_gpu_mem_usage: Any = None,
        pa_ctxt_len: Any = None,
        pa_blk_size: Any = None,
        pa_cache_type: Any = None,
        no_paged_attn: bool = False,
        paged_attn: bool = False,
        seed: int | None = None,
        enable_search: bool = False,
        search_embedding_model: Any = None,
        search_callback: Any = None,
        tool_callbacks: Any = None,
        *,
        policy: MediaPolicy | None = None,
        cpu: bool = False,
        threads: int | None = None,
        revision: str | None = None,
        max_memory: str | None = None,
        tok_model_id: str | None = None,
        trust_remote_code: bool = False,
        kv_cache_type: KVCacheType = "auto",
        max_models_loaded: int | None = None,
    ) -> None:
        refuse(
            {
                "no_kv_cache": no_kv_cache,
                "mtp_model": mtp_model,
                "mtp_n_predict": mtp_n_predict,
                "anymoe_config": anymoe_config,
                "pa_gpu_mem": pa_gpu_mem,
                "pa_gpu_mem_usage": pa_gpu_mem_usage,
                "pa_ctxt_len": pa_ctxt_len,
                "pa_blk_size": pa_blk_size,
                "pa_cache_type": pa_cache_type,
                "paged_attn": paged_attn,
                "enable_search": enable_search,
                "search_embedding_model": search_embedding_model,
                "search_callback": search_callback,
                "tool_callbacks": tool_callbacks,
            }
        )
        common: dict[str, Any] = {
            "token_source": token_source,
            "chat_template": path_of(chat_template, "chat_template"),
            "jinja_explicit": path_of(jinja_explicit, "jinja_explicit"),
            "device_layers": layers_of(num_device_layers),
            "isq": None if in_situ_quant is None else str(in_situ_quant),
            "max_seqs": at_least(1, max_seqs, "max_seqs"),
            "prefix_cache_n": at_least(0, prefix_cache_n, "prefix_cache_n"),
            "cpu": cpu,
            "threads": None if threads is None else at_least(1, threads, "threads"),
            "revision": revision,
            "max_memory": max_memory,
            "tok_model_id": tok_model_id,
            "trust_remote_code": trust_remote_code,
            "kv_cache_type": one_of(get_args(KVCacheType), kv_cache_type, "kv_cache_type"),
        }
        self._policy = policy or MediaPolicy()
        self.speech_policy = policy  # recordings may be longer than other media where none is given
        self._drawing = threading.Lock()
        self._seeds = None if seed is None else random.Random(number(seed, "seed"))
        most = None if max_models_loaded is None else at_least(1, max_models_loaded, "max_models_loaded")
        with translated():
            chosen_models = runner_models(which, common)
        super().__init__(chosen_models, RegistryLimits(most))

    @classmethod
    def connect(cls, address: str | None = None, api_key: str | None = None) -> RemoteRunner:
        """A runner whose model is a server's: the same requests, the same responses.

        Without an address it is the engine of this user that runs (``mistralrs ps``), or its server. Raises
        ``RuntimeError`` where there is none, or more than one.
        """
        from .remote import RemoteRunner

        return RemoteRunner(address, api_key)

    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[False]], model_id: str | None = None
    ) -> ChatCompletionResponse: ...
    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Literal[True]], model_id: str | None = None
    ) -> Chunks: ...
    @overload
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[bool], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks: ...
    def send_chat_completion_request(
        self, request: ChatCompletionRequest[Any], model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks:
        """Answer a conversation: the whole response, or an iterator of chunks where ``request.stream`` is set.

        Raises ``ValueError`` for an invalid request or medium, and ``RuntimeError`` where the model fails.
        """
        streams = self.begin(request, model_id)
        return streamed(streams, streams.model) if request.stream else self.whole(streams)

    def begin(self, request: ChatCompletionRequest[Any], model_id: str | None = None) -> BegunAnswers:
        """The answers to a request as events, begun; close them, or read them to the end."""
        with translated():
            of_kind(request, ChatCompletionRequest)
            with self._using(model_id, request.model) as (engine, model):
                messages = self._read(self._messages(request.conversation, model), engine)
                samplings = self._samplings(request)
                streams = [engine.stream(messages, sampling, request.tools) for sampling in samplings]
                return BegunAnswers(model.spec.name, streams)

    def batch(
        self,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        *,
        jobs: int | None = None,
        on_error: OnError = "skip",
        progress: Callable[[BatchProgress], object] | None = None,
    ) -> list[BatchResult]:
        """Answer many requests, ``jobs`` at a time, and return their results in order; a text is a request, too.

        A request that fails has its error in its result; with ``on_error="retry"`` it is tried twice more first, with
        ``"stop"`` the first error is raised and the other requests are stopped. ``progress`` is called with each
        result as it comes. An iterator of requests is read no further than is needed.
        """
        return self.begun_batch(requests, jobs, on_error, progress).run()

    def begun_batch(
        self,
        requests: Iterable[ChatCompletionRequest[Any] | str],
        jobs: int | None,
        on_error: OnError,
        progress: Callable[[BatchProgress], object] | None,
    ) -> Batch:
        """A batch that can be stopped from another thread."""
        count = self._registry.default.spec.options.max_seqs + AHEAD if jobs is None else at_least(1, jobs, "jobs")
        return Batch(Stoppable(self.begin, self.whole), requests, count, on_error, progress)

    def transcribe(self, audio: Any, *, model_id: str | None = None, **given: Unpack[Asked]) -> TranscriptionResponse:
        """Write down what is said in a recording of any length, or in the audio track of a video.

        ``audio`` is a path, an address, bytes, an open file, or samples with their ``rate``. ``language`` is a code
        such as ``en``, ``translate`` asks for English, ``prompt`` has names and words to expect, ``words`` asks for the
        times of words. Windows of at most ``window`` seconds are cut at pauses of ``pause`` seconds; ``jobs`` of them
        are transcribed at a time. Raises ``ValueError`` for what is no audio or cannot be asked for.
        """
        return self.transcribed(recording(audio, self.speech_policy, **given), model_id)

    def transcribed(self, asked: Recording, model_id: str | None) -> TranscriptionResponse:
        """The transcript of a recording, which may be stopped from another thread."""
        from ..families import require

        with translated(), self._using(model_id) as (engine, _):
            info = engine.info
            require(info, info.name, ["audio"])
            return asked.written(engine, info.audio_rate, times=info.speech_times)

    def whole(self, streams: BegunAnswers) -> ChatCompletionResponse:
        """The response that begun answers become."""
        with translated():
            replies = [collect(stream) for stream in streams]
            choices = [choice(index, reply) for index, reply in enumerate(replies)]
            return chat_response(
                head("chat.completion", streams.model) | {"choices": choices, "usage": counted(replies)}
            )

    def _messages(self, messages: Any, model: RunnerModel) -> tuple[Message, ...]:
        """The conversation, with media that are not read yet."""
        return conversation(messages, model.media, own=partial(read_part, defaults=model.media))

    def _read(self, messages: tuple[Message, ...], engine: Engine) -> tuple[Message, ...]:
        """The conversation with decoded media; what the model does not read is refused first."""
        from ..families import require
        from ..media.reading import read_media

        model = engine.info
        require(model, model.name, (medium.kind for message in messages for medium in message.media))
        return read_media(messages, self._policy, rate=model.audio_rate, sampling=model.video_sampling)

    def send_completion_request(self, request: CompletionRequest, model_id: str | None = None) -> CompletionResponse:
        """Go on with a text, without a chat template."""
        with translated():
            of_kind(request, CompletionRequest)
            refuse_halves(instance(request.prompt, str, "prompt"), "prompt")
            with self._using(model_id, request.model) as (engine, model):
                samplings = self._samplings(request)
                streams = [engine.continue_text(request.prompt, sampling) for sampling in samplings]
                replies = [collect(stream) for stream in streams]
            before = request.prompt if request.echo_prompt else ""
            choices = [
                {"index": index, "text": before + reply.text, "finish_reason": reply.reason}
                for index, reply in enumerate(replies)
            ]
            return completion_response(
                head("text_completion", model.spec.name) | {"choices": choices, "usage": counted(replies)}
            )

    def inspect(self, messages: Any, model_id: str | None = None) -> list[MediaReport]:
        """What the model would get for each medium of a conversation: its kind, size and tokens."""
        with translated(), self._using(model_id) as (engine, model):
            read = self._read(self._messages(ChatCompletionRequest(messages).conversation, model), engine)
            return list(engine.report(read).media)

    def tokenize_text(
        self, text: str, add_special_tokens: bool = True, enable_thinking: bool | None = None,
        model_id: str | None = None,
    ) -> list[int]:  # fmt: skip
        """A text's tokens. ``enable_thinking`` concerns chat templates, which a bare text has none of."""
        refuse({"enable_thinking": enable_thinking})
        refuse_halves(instance(text, str, "text"), "text")
        with translated(), self._using(model_id) as (engine, _):
            return engine.encode(text, special=add_special_tokens)

    def detokenize_text(
        self, tokens: int | Iterable[int], skip_special_tokens: bool = True, model_id: str | None = None
    ) -> str:
        """The text of tokens."""
        with translated(), self._using(model_id) as (engine, _):
            return engine.decode(tokens_of(tokens), special=not skip_special_tokens)

    def max_sequence_length(self, model_id: str | None = None) -> int | None:
        """The most tokens of a conversation, where the checkpoint says."""
        with translated(), self._using(model_id) as (engine, _):
            return engine.info.context_length

    def _samplings(self, request: ChatCompletionRequest[Any] | CompletionRequest) -> list[Sampling]:
        """The sampling of every choice: by the request's own seed, else by the next of the runner's."""
        seed = None
        if self._seeds is not None and request.sampling.seed is None:
            with self._drawing:
                seed = self._seeds.getrandbits(62)
        return request.sampling.per_choice(at_least(1, request.n_choices, "n_choices"), seed)


class BegunAnswers(list["EventStream"]):
    """The answers to one request, begun, and the name of the model that gives them."""

    def __init__(self, model: str, streams: Sequence[EventStream]) -> None:
        super().__init__(streams)
        self.model = model


def runner_models(which: Any, common: dict[str, Any]) -> list[RunnerModel]:
    """The models that a program names, with the options that are given for all. Raises ``ValueError``."""
    if isinstance(which, Mapping):
        found = [runner_model(one, common, str(name)) for name, one in which.items()]
    elif isinstance(which, Sequence) and not isinstance(which, (str, bytes)):
        found = [runner_model(one, common) for one in which]
    else:
        found = [runner_model(which, common)]
    if not found:
        raise RequestError("which names no model.\nGive a hub id or a folder, or several in a list.")
    return found


def runner_model(which: Any, common: dict[str, Any], name: str | None = None) -> RunnerModel:
    """One model, under its own name unless another is given."""
    model = chosen(which)
    options = model_options(model.given | common)
    spec = spec_of(options.model_id, options) if isinstance(which, str) else ModelSpec(options.model_id, options)
    media = MediaOptions(max_edge=getattr(model, "max_edge", None))
    return RunnerModel(spec if name is None else replace(spec, name=name), isinstance(model, MultimodalPlain), media)


def model_options(values: dict[str, Any]) -> ModelOptions:
    """The options that a program gave; what there is nothing of here is refused where it is set."""
    known = ModelOptions.__dataclass_fields__
    refuse({name: value for name, value in values.items() if name not in known})
    return ModelOptions(**{name: value for name, value in values.items() if name in known})


def counted(replies: Sequence[Reply]) -> dict[str, Any]:
    """The usage of several answers to one prompt."""
    return usage(together([Done(reply.reason, reply.usage, reply.timing) for reply in replies]))


def close(streams: Sequence[EventStream]) -> None:
    """Stop answers."""
    for stream in streams:
        stream.close()
