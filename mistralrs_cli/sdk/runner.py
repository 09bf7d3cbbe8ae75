"""A model in this process: load it once, ask it from any number of threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..events import Done, MediaReport, Reply, collect
from ..messages import MediaOptions, Message, Modality
from ..options import MediaPolicy, ModelOptions, Sampling
from ..protocol import choice, conversation, head, together, usage
from .chunks import Chunks, pieces
from .parts import read_part, with_media
from .problems import RequestError, RunnerError, refuse, translated
from .requests import ChatCompletionRequest, CompletionRequest
from .responses import ChatCompletionResponse, CompletionResponse, chat_response, completion_response
from .which import MultimodalPlain, Plain

if TYPE_CHECKING:
    from ..engine import Engine, EventStream
    from .remote import RemoteRunner

MAX_SEQS = 16


class Runner:
    """A loaded model. Threads may share it: their requests are answered together.

    The parameters are the original's, in its order. What there is nothing of here is refused with a ``ValueError``
    when it is set. Use it in a ``with`` block, or ``close`` it.
    """

    def __init__(
        self,
        which: Plain | MultimodalPlain,
        max_seqs: int = MAX_SEQS,
        no_kv_cache: bool = False,
        prefix_cache_n: int = ModelOptions.prefix_cache_n,
        token_source: str = "cache",
        mtp_model: Any = None,
        mtp_n_predict: Any = None,
        chat_template: str | None = None,
        jinja_explicit: str | None = None,
        num_device_layers: Sequence[str] | str | None = None,
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
        layers = num_device_layers if isinstance(num_device_layers, str) else ";".join(num_device_layers or ())
        self._options = model_options(
            which.given
            | {
                "token_source": token_source,
                "chat_template": chat_template,
                "jinja_explicit": jinja_explicit,
                "device_layers": layers or None,
                "isq": None if in_situ_quant is None else str(in_situ_quant),
                "max_seqs": max_seqs,
                "prefix_cache_n": prefix_cache_n,
                "cpu": cpu,
                "threads": threads,
                "revision": revision,
            }
        )
        self._media = MediaOptions(max_edge=getattr(which, "max_edge", None))
        self._multimodal = isinstance(which, MultimodalPlain)
        self._policy = policy or MediaPolicy()
        self._seeds = None if seed is None else random.Random(seed)
        self._lock = threading.Lock()
        self._engine: Engine | None = self._load()

    def _load(self) -> Engine:
        from ..engine import Engine
        from ..loading import check, load, open_checkpoint

        with translated():
            check(self._options)
            checkpoint = open_checkpoint(self._options)
            if self._multimodal and not checkpoint.family.modalities:
                raise RequestError(f"{checkpoint.name} reads text only.\nUse Which.Plain for it.")
            loaded = load(checkpoint, self._options)
            return Engine(loaded, max_rows=self._options.max_seqs, prefixes=self._options.prefix_cache_n)

    @classmethod
    def connect(cls, address: str, api_key: str | None = None) -> RemoteRunner:
        """A runner whose model is a server's: the same requests, the same responses."""
        from .remote import RemoteRunner

        return RemoteRunner(address, api_key)

    def send_chat_completion_request(
        self, request: ChatCompletionRequest, model_id: str | None = None
    ) -> ChatCompletionResponse | Chunks:
        """Answer a conversation: the whole response, or an iterator of chunks where ``request.stream`` is set.

        Raises ``ValueError`` for a request or a medium that cannot be, and ``RuntimeError`` where the model fails.
        """
        streams = self.begin(request, model_id)
        if request.stream:
            return Chunks(pieces(streams, self.model), lambda: close(streams))
        return self.whole(streams)

    def begin(self, request: ChatCompletionRequest, model_id: str | None = None) -> list[EventStream]:
        """The answers to a request as events, begun; close them, or read them to the end."""
        with translated():
            self._check(request.model, model_id)
            engine = self._loaded()
            messages = self._read(self._messages(request))
            sampling = choices_of(self._seeded(request.sampling), request.n_choices)
            return [engine.stream(messages, each, request.tools) for each in sampling]

    def whole(self, streams: Sequence[EventStream]) -> ChatCompletionResponse:
        """The response that begun answers become."""
        with translated():
            replies = [collect(stream) for stream in streams]
            choices = [choice(index, reply) for index, reply in enumerate(replies)]
            return chat_response(head("chat.completion", self.model) | {"choices": choices, "usage": counted(replies)})

    def _messages(self, request: ChatCompletionRequest) -> tuple[Message, ...]:
        """The conversation, with media that are not read yet."""
        kinds: tuple[tuple[Modality, Sequence[Any]], ...] = (
            ("image", request.images),
            ("audio", request.audios),
            ("video", request.videos),
        )
        beside = [(kind, value) for kind, values in kinds for value in values]
        return conversation(with_media(request.messages, beside), self._media, own=read_part)

    def _read(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation with decoded media; what the model does not read is refused first."""
        from ..families import require
        from ..media.reading import read_media

        loaded = self._loaded().loaded
        require(loaded.family, loaded.name, (medium.kind for message in messages for medium in message.media))
        return read_media(messages, self._policy, rate=loaded.family.audio_rate, sampling=loaded.family.sampling)

    def send_completion_request(self, request: CompletionRequest, model_id: str | None = None) -> CompletionResponse:
        """Go on with a text, without a chat template."""
        with translated():
            self._check(request.model, model_id)
            engine, sampling = self._loaded(), self._seeded(request.sampling)
            streams = [engine.continue_text(request.prompt, each) for each in choices_of(sampling, request.n_choices)]
            replies = [collect(stream) for stream in streams]
            before = request.prompt if request.echo_prompt else ""
            choices = [
                {"index": index, "text": before + reply.text, "finish_reason": reply.reason}
                for index, reply in enumerate(replies)
            ]
            return completion_response(
                head("text_completion", self.model) | {"choices": choices, "usage": counted(replies)}
            )

    def inspect(self, messages: Any) -> list[MediaReport]:
        """What the model would get for each medium of a conversation: its kind, size and tokens."""
        with translated():
            loaded = self._loaded().loaded
            read = self._read(conversation(messages, self._media, own=read_part))
            return list(loaded.family.prepare(loaded.processor, read).media)

    def tokenize_text(
        self, text: str, add_special_tokens: bool = True, enable_thinking: bool | None = None,
        model_id: str | None = None,
    ) -> list[int]:  # fmt: skip
        """A text's tokens. ``enable_thinking`` concerns chat templates, which a bare text has none of."""
        refuse({"enable_thinking": enable_thinking})
        with translated():
            self._check(model_id)
            return self._loaded().encode(text, special=add_special_tokens)

    def detokenize_text(
        self, tokens: Sequence[int], skip_special_tokens: bool = True, model_id: str | None = None
    ) -> str:
        """The text of tokens."""
        with translated():
            self._check(model_id)
            return self._loaded().decode(tokens, special=not skip_special_tokens)

    def max_sequence_length(self, model_id: str | None = None) -> int | None:
        """The most tokens of a conversation, where the checkpoint says."""
        self._check(model_id)
        return self._loaded().loaded.context_length

    @property
    def model(self) -> str:
        """The model's name: its hub id or folder."""
        return self._options.model_id

    def list_models(self) -> list[str]:
        """The models there are: one."""
        return [self.model]

    def get_default_model_id(self) -> str:
        """The model that answers where none is named."""
        return self.model

    def set_default_model_id(self, model_id: str) -> None:
        """There is one model, so it stays the default. Raises ``ValueError`` for another."""
        self._check(model_id)

    def is_model_loaded(self, model_id: str | None = None) -> bool:
        """Whether the model is in memory."""
        self._check(model_id)
        return self._engine is not None

    def get_model_status(self, model_id: str | None = None) -> str:
        """``loaded`` or ``unloaded``."""
        return "loaded" if self.is_model_loaded(model_id) else "unloaded"

    def unload_model(self, model_id: str | None = None) -> None:
        """Free the model's memory; what is being answered fails."""
        self._check(model_id)
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def reload_model(self, model_id: str | None = None) -> None:
        """Load the model again after ``unload_model``."""
        self._check(model_id)
        with self._lock:
            if self._engine is None:
                self._engine = self._load()

    def close(self) -> None:
        """Free the model's memory."""
        self.unload_model()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loaded(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise RunnerError(f"{self.model} is not loaded.\nCall reload_model() first.")
        return engine

    def _check(self, *names: str | None) -> None:
        """Raise ``ValueError`` for a model that is not this one."""
        for name in names:
            if name not in (None, "default", self.model):
                raise RequestError(f"There is no model {name}; this runner has {self.model}.\nSay default.")

    def _seeded(self, sampling: Sampling) -> Sampling:
        """A request's own seed, else the next of the runner's."""
        if sampling.seed is not None or self._seeds is None:
            return sampling
        with self._lock:
            return replace(sampling, seed=self._seeds.getrandbits(62))


def model_options(values: dict[str, Any]) -> ModelOptions:
    """The options that a program gave; what there is nothing of here is refused where it is set."""
    known = ModelOptions.__dataclass_fields__
    refuse({name: value for name, value in values.items() if name not in known})
    return ModelOptions(**{name: value for name, value in values.items() if name in known})


def choices_of(sampling: Sampling, count: int) -> list[Sampling]:
    """The sampling of every choice: a seed makes each of them repeatable, not all of them the same."""
    if count < 1:
        raise RequestError(f"n_choices must be at least 1, not {count}.")
    if sampling.seed is None:
        return [sampling] * count
    return [replace(sampling, seed=sampling.seed + number) for number in range(count)]


def counted(replies: Sequence[Reply]) -> dict[str, Any]:
    """The usage of several answers to one prompt."""
    return usage(together([Done(reply.reason, reply.usage, reply.timing) for reply in replies]))


def close(streams: Sequence[EventStream]) -> None:
    """Stop answers."""
    for stream in streams:
        stream.close()
