"""The tokenizer of Mistral's models, made from their own ``tekken.json`` where there is no ``tokenizer.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """A tokenizer of transformers, also where mistral-common is installed, whose own class knows no templates.

    ``tekken.json`` lists special tokens without saying which begins and ends a text. Published ``tokenizer.json``
    files split words by a wrong expression, which transformers fixes with ``fix_mistral_regex``.
    """
    from transformers import AutoTokenizer

    named = {} if (folder / "tokenizer.json").is_file() else NAMED
    return AutoTokenizer.from_pretrained(
        folder, mistral_format=False, fix_mistral_regex=True, trust_remote_code=trust_remote_code, **named
    )
