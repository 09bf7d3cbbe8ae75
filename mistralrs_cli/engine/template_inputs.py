"""What a request tells the chat template beside the conversation: what the template does not read is refused."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

from ..errors import OptionError
from ..options import Sampling

RESERVED = frozenset(
    {"messages", "tools", "documents", "chat_template", "add_generation_prompt", "continue_final_message"}
    | {"return_assistant_tokens_mask", "tokenize", "return_tensors", "return_dict", "load_audio_from_video"}
    | {"processor_kwargs", "sanitize_control_tokens", "conversation", "padding", "truncation", "max_length"}
    | {"tokenizer_kwargs", "bos_token", "eos_token", "pad_token", "unk_token"}
)

GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")  # transformers' own tag


class Templated(Protocol):
    """A model by its name, and the processor that has its chat template; its weights may not be there yet."""

    @property
    def name(self) -> str: ...

    @property
    def processor(self) -> Any: ...


def check_template_inputs(loaded: Templated, sampling: Sampling) -> None:
    """Raise ``OptionError`` for inputs that would go unheard.

    To be told not to think is no news to a model that cannot; an effort is heard where thinking can be turned on.
    """
    template = getattr(loaded.processor, "chat_template", None)
    names = variables(template) if isinstance(template, str) else None
    for name in sampling.template_kwargs:
        if name in RESERVED or (names is not None and name not in names):
            raise OptionError(
                f"chat_template_kwargs.{name} is nothing that this model's chat template reads.",
                param=f"chat_template_kwargs.{name}",
            )
    if names is None or sampling.thinking is not True:
        return
    if not names & {"enable_thinking", "thinking", "reasoning_effort"} and "<think>" not in str(template):
        option, field = ("--thinking", "enable_thinking")
        if sampling.reasoning_effort is not None:
            option, field = ("--reasoning-effort", "reasoning_effort")
        raise OptionError(
            f"{option}: {loaded.name} cannot be told to think; its chat template knows nothing of it.",
            f"Leave {option} out.",
            param=field,
        )


@lru_cache(maxsize=8)
def variables(template: str) -> frozenset[str] | None:
    """The names a template reads from outside; ``None`` where it does not compile here."""
    from jinja2 import TemplateError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        parsed = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(
            GENERATION.sub("", template)
        )
    except TemplateError:
        return None
    return frozenset(meta.find_undeclared_variables(parsed))
