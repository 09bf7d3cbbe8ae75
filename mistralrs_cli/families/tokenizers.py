"""What published tokenizers leave unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..resources import read_text


def load_own(folder: Path, **named: Any) -> Any:
    """The tokenizer of a checkpoint whose architecture is this package's own, without any code of the checkpoint's.

    Where ``tokenizer_config.json`` names a class that only the checkpoint brings, ``tokenizer.json`` says all there is
    to say, and transformers' general class reads it.
    """
    import transformers

    path = folder / "tokenizer_config.json"
    settings = json.loads(read_text(path)) if path.is_file() else {}
    theirs = settings.get("tokenizer_class")
    if "auto_map" not in settings and (theirs is None or hasattr(transformers, str(theirs))):
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **named)
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder, **named)


def guarded(processor: Any, folder: Path) -> Any:
    """A processor with a template, that sees in a user's text every token of the vocabulary that means something.

    The templates put role names together from pieces, where transformers does not find them; and this processor class
    forgets its own.
    """
    tokenizer, older = processor.tokenizer, folder / "chat_template.json"
    processor.chat_template = tokenizer.chat_template
    if processor.chat_template is None and older.is_file():
        processor.chat_template = json.loads(read_text(older))["chat_template"]
    tokenizer.chat_control_tokens = [token.content for token in tokenizer.added_tokens_decoder.values()]
    return processor
