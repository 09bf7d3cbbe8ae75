"""Inputs of the chat template beside the conversation; those that it does not read are refused."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import OptionError
from ..loading.template_syntax import template_variables
from ..options import Sampling

RESERVED = frozenset(
    {"messages", "tools", "documents", "chat_template", "add_generation_prompt", "continue_final_message"}
    | {"return_assistant_tokens_mask", "tokenize", "return_tensors", "return_dict", "load_audio_from_video"}
    | {"processor_kwargs", "sanitize_control_tokens", "conversation", "padding", "truncation", "max_length"}
    | {"tokenizer_kwargs", "bos_token", "eos_token", "pad_token", "unk_token"}
)

THINKING = frozenset({"enable_thinking", "thinking", "reasoning_effort"})


class Templated(Protocol):
    """A model by its name, and the processor that has its chat template; its weights may not be there yet."""

    @property
    def name(self) -> str: ...

    @property
    def processor(self) -> Any: ...


def check_template_inputs(loaded: Templated, sampling: Sampling) -> None:
    """Raise ``OptionError`` for inputs that the template would ignore.

    Thinking may be turned off for any model; an effort needs a template with which it can be turned on.
    """
    for name in (*reserved(sampling), *unread(loaded, sampling)):
        raise OptionError(
            f"chat_template_kwargs.{name} is nothing that this model's chat template reads.",
            "Leave it out.",
            param=f"chat_template_kwargs.{name}",
        )
    if sampling.thinking is True and not can_think(loaded):
        option, field = ("--thinking", "enable_thinking")
        if sampling.reasoning_effort is not None:
            option, field = ("--reasoning-effort", "reasoning_effort")
        raise OptionError(
            f"{option}: {loaded.name} cannot think: its chat template has no switch for it.",
            f"Leave {option} out.",
            param=field,
        )


def reserved(sampling: Sampling) -> list[str]:
    """Inputs with names that a client may not set."""
    return [name for name in sampling.template_kwargs if name in RESERVED]


def unread(loaded: Templated, sampling: Sampling) -> list[str]:
    """Inputs that the template does not read, but for those about thinking, which every template is given."""
    names = names_of(loaded)
    if names is None:
        return []
    return [name for name in sampling.template_kwargs if name not in names | THINKING | RESERVED]


def can_think(loaded: Templated) -> bool:
    """Whether the template has an input that turns thinking on, as far as can be seen."""
    names = names_of(loaded)
    return names is None or bool(names & THINKING) or "<think>" in str(loaded.processor.chat_template)


def names_of(loaded: Templated) -> frozenset[str] | None:
    """What the model's template reads from outside, where that can be seen."""
    template = getattr(loaded.processor, "chat_template", None)
    return template_variables(template) if isinstance(template, str) else None
