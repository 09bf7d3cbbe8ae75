"""The only home of defaults: how a model is loaded, how tokens are drawn, what media may come from where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

DType = Literal["auto", "bf16", "f16", "f32"]
KVCacheType = Literal["auto", "q8"]
GrammarKind = Literal["json_schema", "regex", "lark", "llguidance"]
IsqOrganization = Literal["default", "moqe"]
LogFormat = Literal["text", "json"]
Effort = Literal["off", "low", "medium", "high", "xhigh"]
Turn = Literal["new", "open", "closed"]
Priority = Literal["interactive", "batch"]
ENDINGS: dict[str, dict[str, bool]] = {
    "open": {"add_generation_prompt": False, "continue_final_message": True},
    "closed": {"add_generation_prompt": False},
}

DEMO_MODEL = "demo"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class ModelOptions:
    """Which checkpoint, and how it is loaded."""

    model_id: str = DEMO_MODEL
    arch: str | None = None
    revision: str | None = None
    hf_cache: str | None = None
    token_source: str = field(default="cache", repr=False)  # may hold a token
    trust_remote_code: bool = False
    tokenizer: str | None = None
    tok_model_id: str | None = None
    chat_template: str | None = None
    jinja_explicit: str | None = None
    dtype: DType = "auto"
    cpu: bool = False
    quant: str | None = None
    isq: str | None = None
    isq_organization: IsqOrganization = "default"
    device_layers: str | None = None
    topology: str | None = None
    max_memory: str | None = None
    max_seq_len: int = 4096
    max_batch_size: int = 1
    max_num_images: int | None = None
    """Images to plan memory for, 1 unless given; given, it is also the most a request may hold."""
    max_image_length: int = 1024
    matformer_config_path: str | None = None
    matformer_slice_name: str | None = None
    threads: int | None = None
    max_seqs: int = 32
    kv_cache_type: KVCacheType = "auto"
    prefix_cache_n: int = 16


def short_name(model_id: str) -> str:
    """A model in a few words: the last part of a folder's path, ``OWNER/NAME`` of a folder in the hub's cache.

    A name on the hub stays as it is.
    """
    parts = [part for part in model_id.replace("\\", "/").split("/") if part not in ("", ".")]
    for part in parts:
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/")
    return parts[-1] if parts and (len(parts) > 2 or not _HUB_NAME.fullmatch(model_id)) else model_id


@dataclass(frozen=True)
class AttachOptions:
    """Whether an engine that runs already may answer, and whether one is left running.

    ``keep`` are the idle seconds after which a kept engine ends; ``None`` keeps none. ``server`` is the address of a
    server that answers in place of any engine here.
    """

    attach: bool = True
    keep: float | None = None
    server: str | None = None


@dataclass(frozen=True)
class Grammar:
    """A constraint on the answer: a JSON schema, regular expression, Lark or llguidance grammar as text.

    ``strict`` refuses a schema of which something cannot be enforced; else that part is left out. ``json``: the
    answer is JSON, whose numbers and texts are bounded (``engine.runaway``).
    """

    kind: GrammarKind
    value: str
    strict: bool = False
    json: bool = False


@dataclass(frozen=True)
class Dry:
    """The DRY penalty: ``multiplier · base ** (n - allowed_length)`` off a token that would repeat ``n`` tokens before.

    A repetition does not reach over a token whose text holds one of ``breakers``.
    """

    multiplier: float
    base: float = 1.75
    allowed_length: int = 2
    breakers: tuple[str, ...] = ("\n", ":", '"', "*")


@dataclass(frozen=True)
class Tools:
    """Functions a model may call, in OpenAI's form, and whether it has to.

    ``choice`` is ``auto``, ``required`` or ``none``; ``name`` the one function that must be called. ``strict`` names
    functions whose schema must be enforced whole.
    """

    definitions: tuple[Mapping[str, Any], ...]
    choice: Literal["auto", "required", "none"] = "auto"
    name: str | None = None
    parallel: bool = True
    strict: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. ``None`` means the checkpoint's own ``generation_config``, else the fallbacks below.

    ``logprobs`` is how many likeliest tokens to tell beside each drawn one (``None``: tell nothing), and with
    ``echo`` of the prompt's tokens, too, after which the answer may have none; ``truncate`` drops the beginning of a
    prompt that is too long. ``thinking_budget`` is the most tokens of a thought. A model that cannot think passes over
    a ``thinking_hint``. ``turn`` says how the prompt ends: a ``new`` turn of the assistant, the last one left
    ``open`` to go on with, or all turns ``closed``. ``priority`` says whether somebody waits for the answer.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    grammar: Grammar | None = None
    ignore_eos: bool = False
    thinking: bool | None = None
    reasoning_effort: str | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    dry: Dry | None = None
    truncate: bool = False
    echo: bool = False
    thinking_budget: int | None = None
    thinking_hint: bool = False
    turn: Turn = "new"
    priority: Priority = "interactive"

    @property
    def template_inputs(self) -> dict[str, Any]:
        """Inputs of the chat template beside the conversation."""
        inputs: dict[str, Any] = {"enable_thinking": self.thinking, "reasoning_effort": self.reasoning_effort}
        ending = {} if self.turn == "new" else ENDINGS[self.turn]
        given = {name: value for name, value in inputs.items() if value is not None}
        return given | dict(self.template_kwargs) | ending

    def per_choice(self, count: int, seed: int | None = None) -> list["Sampling"]:
        """The sampling of each of ``count`` choices, with ``seed`` where this names none.

        A seed makes each choice repeatable, not all of them the same.
        """
        first = seed if self.seed is None else self.seed
        return [self if first is None else replace(self, seed=first + number) for number in range(count)]


FALLBACK_TEMPERATURE = 0.8
FALLBACK_TOP_K = 40
FALLBACK_TOP_P = 0.95
FALLBACK_MIN_P = 0.05


SPEECH_TASK = "speech_task"
"""The template input that holds the ``SpeechTask`` of a window, for what is not asked by messages alone."""


@dataclass(frozen=True, slots=True)
class SpeechTask:
    """What is done with a window of speech. Windows with the same task share a batch.

    ``language`` is a code such as ``en``; ``words`` asks for the times of words.
    """

    language: str | None = None
    translate: bool = False
    prompt: str | None = None
    words: bool = False
    most: int | None = None
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class MediaPolicy:
    """Where media may come from, and how large they may be.

    ``local_roots`` ``None`` allows every local file (the user's own shell); a tuple allows only files below those
    folders. ``private_addresses`` allows fetching from loopback, private and link-local addresses. ``fetch_seconds``
    bounds one whole download; ``pixels`` one decoded image or frame; ``seconds`` audio or video; ``decode_seconds`` the
    time that decoding one medium may take; ``pages`` how many of one document are taken at once. ``pipes`` allows what
    is no regular file, such as the FIFO that a shell makes of ``<(…)``: reading it may wait for as long as somebody
    pleases.

    >>> MediaPolicy(local_roots=("/srv/photos",), remote=False).private_addresses
    True
    """

    local_roots: tuple[str, ...] | None = None
    remote: bool = True
    private_addresses: bool = True
    domains: tuple[str, ...] | None = None
    max_bytes: int = 512 * 2**20
    max_redirects: int = 5
    fetch_seconds: float = 60.0
    idle_seconds: float = 15.0
    pixels: int = 200_000_000
    seconds: float = 4 * 3600.0
    frames: int = 768
    decode_seconds: float = 600.0
    pages: int = 100
    pipes: bool = True


@dataclass(frozen=True)
class ServerOptions:
    """Where the server listens, who may use it, and how much a request may hold.

    ``keys_file`` names more keys, with limits; ``keys_checked`` says that who sends requests here has checked their
    keys. ``uds`` is the path of a Unix socket to listen on in place of host and
    port; ``certificate`` and ``private_key`` are files for TLS; ``root_path`` is the prefix that a proxy serves this
    server under. ``media_paths`` are the folders that media may be read from; without one, only requests of this very
    machine may name local files, and without ``local_files`` none may. ``queue`` is how many requests may wait for a
    row; ``body`` is in bytes, ``grace`` the seconds that running answers get to end when the server is to stop,
    ``load_timeout`` those that a request waits for its model to be loaded. ``seed`` is for requests that name none.
    ``strict`` refuses fields that are not known, which are passed over and named otherwise. ``page`` has it answer
    browsers with the chat page, and ``page_key`` opens the chats that this user has stored to it; ``page_settings`` are
    the instructions (``system``) and the request fields that it begins with. Batch jobs are kept in ``batch_folder``,
    if there is one: at most ``batches`` that have not ended, each of ``batch_lines`` lines, and their files take
    ``batch_disk`` bytes.
    """

    host: str = "127.0.0.1"
    port: int = 1234
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    keys_file: str | None = None
    keys_checked: bool = False
    uds: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    root_path: str = ""
    insecure: bool = False
    local_files: bool = True
    media_paths: tuple[str, ...] = ()
    media_domains: tuple[str, ...] | None = None
    cors_origins: tuple[str, ...] = ()
    served_names: tuple[str, ...] = ()
    body: int = 256 * 2**20
    images: int = 256
    audios: int = 64
    videos: int = 16
    queue: int = 64
    grace: float = 10.0
    load_timeout: float = 300.0
    max_edge: int | None = None
    seed: int | None = None
    log_requests: bool = False
    log_format: LogFormat = "text"
    strict: bool = False
    page: bool = True
    page_key: str = field(default="", repr=False)
    page_settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    batch_folder: str | None = None
    batches: int = 100
    batch_lines: int = 50_000
    batch_disk: int = 10 * 2**30

    @property
    def needs_key(self) -> bool:
        """Whether requests have to carry a key."""
        return bool(self.api_keys) or self.keys_file is not None or self.keys_checked

    @property
    def accepted_keys(self) -> tuple[str, ...]:
        """The keys beside those of ``keys_file``: where keys are needed, the page's is one of them."""
        own = (self.page_key,) if self.needs_key and self.page_key and self.page_key not in self.api_keys else ()
        return (*self.api_keys, *own)


SERVER_PIXELS = 100_000_000
SERVER_SECONDS = 3600.0
SERVER_DECODE_SECONDS = 120.0
SERVER_DECODED = 4 * 2**30

DEFAULT_INSTRUCTION = "Describe this."
