"""Control tokens that a user typed, for processors whose own code does not tell them from those of the template.

Transformers marks typed control tokens with private characters, and its tokenizers encode what is marked as text. A
processor that counts or replaces its placeholders by itself finds them between the marks all the same. It is given
stand-ins instead, which become marked tokens only where the tokenizer is called.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Sequence
from typing import Any

from .compat import control_tokens


def escape_control_tokens(processor: Any, conversation: Sequence[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """A processor and a conversation in which typed control tokens are stand-ins; the same two where there are none."""
    tokenizer = processor.tokenizer
    controls = sorted(control_tokens(tokenizer, processor.chat_template), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, controls)) or "(?!)")
    nonce = secrets.token_hex(8)

    def hide(part: dict[str, Any]) -> dict[str, Any]:
        if part["type"] != "text":
            return part
        return part | {"text": pattern.sub(lambda found: f"{nonce}:{controls.index(found[0])};", part["text"])}

    hidden = [turn | {"content": [hide(part) for part in turn["content"]]} for turn in conversation]
    if not any(nonce in part.get("text", "") for turn in hidden for part in turn["content"]):
        return processor, hidden
    stand_in = copy.copy(processor)
    stand_in.tokenizer = Marking(tokenizer, re.compile(rf"{nonce}:(\d+);"), controls)
    return stand_in, hidden


class Marking:
    """A tokenizer that turns stand-ins into marked control tokens, which its model encodes as text."""

    def __init__(self, tokenizer: Any, stand_in: re.Pattern[str], controls: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stand_in = stand_in
        self._controls = controls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, text: str | list[str], **arguments: Any) -> Any:
        """Encode ``text``. The result knows no character offsets, and Idefics 3 asks for them without using them."""
        from transformers import BatchEncoding
        from transformers.utils.chat_template_utils import mark_control_tokens

        def marked(found: re.Match[str]) -> str:
            token = self._controls[int(found[1])]
            return str(mark_control_tokens(token, re.compile(re.escape(token))))

        class Encoding(BatchEncoding):
            def char_to_token(self, *_: Any) -> int:
                return 0

        texts = [text] if isinstance(text, str) else text
        encoded = self._tokenizer(
            [self._stand_in.sub(marked, one) for one in texts], **arguments | {"sanitize_control_tokens": True}
        )
        return Encoding(dict(encoded))
