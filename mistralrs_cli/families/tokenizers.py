"""What published tokenizers leave unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def guarded(processor: Any, folder: Path) -> Any:
    """A processor with a template, that sees in a user's text every token of the vocabulary that means something.

    The templates put role names together from pieces, where transformers does not find them; and this processor class
    forgets its own.
    """
    tokenizer, older = processor.tokenizer, folder / "chat_template.json"
    processor.chat_template = tokenizer.chat_template
    if processor.chat_template is None and older.is_file():
        processor.chat_template = json.loads(older.read_text(encoding="utf-8"))["chat_template"]
    tokenizer.chat_control_tokens = [token.content for token in tokenizer.added_tokens_decoder.values()]
    return processor
