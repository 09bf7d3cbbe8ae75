"""A plain text model."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized


def build() -> tuple[Any, Any]:
    """A plain text model."""
    import transformers

    tokens = tokenizer()
    tokens.chat_template = template()
    config = transformers.LlamaConfig(vocab_size=len(tokens), num_hidden_layers=3, **TEXT)
    return randomized(transformers.LlamaForCausalLM(config)), tokens
