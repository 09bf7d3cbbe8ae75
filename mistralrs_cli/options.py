"""The only home of defaults: how a model is loaded, how tokens are drawn, what media may come from where."""

from dataclasses import dataclass, field
from typing import Literal

DType = Literal["auto", "bf16", "f16", "f32"]
GrammarKind = Literal["json_schema", "regex", "lark", "llguidance"]

DEMO_MODEL = "demo"


@dataclass(frozen=True)
class ModelOptions:
    """Which checkpoint, and how it is loaded."""

    model_id: str = DEMO_MODEL
    revision: str | None = None
    hf_cache: str | None = None
    token_source: str = field(default="cache", repr=False)  # may hold a token
    trust_remote_code: bool = False
    tokenizer: str | None = None
    chat_template: str | None = None
    jinja_explicit: str | None = None
    dtype: DType = "auto"
    cpu: bool = False
    quant: str | None = None
    isq: str | None = None
    threads: int | None = None
    max_seqs: int = 32


@dataclass(frozen=True)
class Grammar:
    """A constraint on the answer: a JSON schema, regular expression, Lark or llguidance grammar as text."""

    kind: GrammarKind
    value: str


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. ``None`` means the checkpoint's own ``generation_config``, else the fallbacks below."""

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

    @property
    def template_inputs(self) -> dict[str, bool]:
        """What the chat template is told beside the conversation."""
        return {} if self.thinking is None else {"enable_thinking": self.thinking}


FALLBACK_TEMPERATURE = 0.8
FALLBACK_TOP_K = 40
FALLBACK_TOP_P = 0.95
FALLBACK_MIN_P = 0.05


@dataclass(frozen=True)
class MediaPolicy:
    """Where media may come from, and how large they may be.

    ``local_roots`` ``None`` allows every local file (the user's own shell); a tuple allows only files below those
    folders. ``private_addresses`` allows fetching from loopback, private and link-local addresses. ``fetch_seconds``
    bounds one whole download; ``pixels`` one decoded picture or frame; ``seconds`` a sound or clip.
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


DEFAULT_INSTRUCTION = "Describe this."
