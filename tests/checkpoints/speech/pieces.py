"""A tokenizer of letters, each at the beginning of a word or within one, as SentencePiece marks them."""

import string
from typing import Any


def pieces(*special: str, last: str | None = None) -> Any:
    """``special`` come first, then words' letters and punctuation; ``last`` comes last."""
    from tokenizers import Tokenizer, decoders, models

    letters = [*(f"▁{letter}" for letter in string.ascii_lowercase), *string.ascii_lowercase, ".", ","]
    names = [*special, *letters, *([last] if last else [])]
    tokenizer = Tokenizer(models.BPE({name: at for at, name in enumerate(names)}, [], unk_token="<unk>"))
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*special, *([last] if last else [])])
    return tokenizer
