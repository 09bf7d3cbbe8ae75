"""Private names of transformers' tokenizers and processors. ``tests/drift/test_private_names.py`` checks each."""

from __future__ import annotations

from typing import Any


def control_tokens(tokenizer: Any, template: Any) -> list[str]:
    """The control tokens of a tokenizer and of a chat template."""
    return list(tokenizer._get_control_tokens(template))
