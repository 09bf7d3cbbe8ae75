"""The processor of Phi-3.5 Vision: a prompt's text between its images, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import BatchFeature
from transformers.processing_utils import _UNMARKED, ProcessorMixin
from transformers.utils.chat_template_utils import encode_marked_chat

from ...tokenizers import load_own
from ..settings import part_settings
from .image_processing import Phi3VImageProcessor

SETTINGS = ("num_crops", "image_mean", "image_std", "tile")


class Phi3VProcessor(ProcessorMixin):
    """``image_token`` is what stands for an image in a text, ``image_token_id`` what stands for it in a prompt."""

    def __init__(
        self,
        image_processor: Any,
        tokenizer: Any,
        chat_template: str | None = None,
        image_token: str = "<|image|>",
        image_token_id: int = 32044,
    ) -> None:
        self.image_token = image_token
        self.image_token_id = image_token_id
        super().__init__(image_processor, tokenizer, chat_template=chat_template)  # type: ignore[no-untyped-call]

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> None:
        """The parts are of this package's own classes, which transformers does not list."""

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Tensors of one prompt. ``text`` may be marked by ``apply_chat_template``: what a user typed is text then."""
        prompt = text if isinstance(text, str) else text[0]
        listed = [image for some in images or () for image in (some if isinstance(some, list) else [some])]
        seen = dict(self.image_processor.preprocess(listed)) if listed else {}
        counts = iter(seen.get("num_img_tokens", ()))
        ids: list[int] = []
        for index, piece in enumerate(re.split(_UNMARKED + re.escape(self.image_token), prompt)):
            ids += [self.image_token_id] * next(counts) if index else []
            ids += self.encoded(piece)
        tokens = torch.tensor([ids])
        return BatchFeature({"input_ids": tokens, "attention_mask": torch.ones_like(tokens), **seen})

    def encoded(self, piece: str) -> Iterator[int]:
        """One piece of text as the tokenizer takes a text of its own: each with the beginning it gives to texts."""
        yield from self.tokenizer("").input_ids
        yield from encode_marked_chat(self.tokenizer, piece)


def load(folder: Path, image_token_id: int) -> Phi3VProcessor:
    """The processor of the checkpoint in a folder."""
    settings = part_settings(folder, "image_processor")
    tokenizer = load_own(folder)
    processor = Phi3VProcessor(
        Phi3VImageProcessor(**{key: settings[key] for key in SETTINGS if key in settings}),
        tokenizer,
        image_token_id=image_token_id,
    )
    if processor.image_token not in tokenizer.get_vocab():
        tokenizer.add_tokens([processor.image_token], special_tokens=True)  # to be known when a user types it
    return processor
