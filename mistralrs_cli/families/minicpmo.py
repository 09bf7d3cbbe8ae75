"""MiniCPM-o 2.6: images whole and in slices, audio in windows of 30 seconds."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..errors import UnsupportedModel
from ..messages import Message, Modality, Part, Text
from .base import Family, Prepared
from .encoder import Encoder
from .listing import Listing
from .tokenizers import guarded, load_own


class MiniCPMO(Family):
    """``model_type: minicpmo``. It also speaks; that part is not read."""

    name: ClassVar[str] = "MiniCPM-o 2.6"
    listing: ClassVar[Listing | None] = Listing(
        "MiniCpmO",
        "openbmb/MiniCPM-o-2_6",
        ("image", "audio"),
        note="Reads images and audio; its speech output is not supported.",
    )
    version: ClassVar[str] = "2.6"
    towers: ClassVar[tuple[str, ...]] = ("vpm", "apm", "resampler", "audio_projection_layer")
    audio_seconds: ClassVar[float | None] = 30.0
    shortest_audio: ClassVar[float] = 0.04  # makes one token
    encoders: ClassVar[tuple[Encoder, ...]] = (
        Encoder("image_states", axis=3, sizes="tgt_sizes"),
        Encoder("audio_states"),
    )
    image_end_token: ClassVar[str | None] = "</image>"

    def require_version(self, name: str) -> None:
        """MiniCPM-o 4.5 has the same ``model_type``, and another decoder: Qwen3 instead of Qwen2."""
        version = str(self.config.get("version") or ("4.5" if "attention_bias" in self.config else self.version))
        if version != self.version:
            raise UnsupportedModel(
                f"{name} is MiniCPM-o {version}, which is not supported; MiniCPM-o {self.version} is.",
                "Try -m openbmb/MiniCPM-o-2_6, or -m google/gemma-4-E4B-it, which reads images and audio as well.",
            )

    @property
    def modalities(self) -> frozenset[Modality]:
        """What the checkpoint was published with."""
        lacks = {"image": self.config.get("init_vision") is False, "audio": self.config.get("init_audio") is False}
        kinds: tuple[Modality, ...] = ("image", "audio")
        return frozenset(kind for kind in kinds if not lacks[kind])

    def register(self) -> None:
        """The architecture is this package's own."""
        from .ports.minicpmo import register

        register()

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """This package's processor with the published settings."""
        from .ports.minicpmo.processing import load

        bins = int((self.config.get("audio_config") or {}).get("num_mel_bins", 80))
        pool = int(self.config.get("audio_pool_step", 2))
        chunked = self.config.get("chunk_input") is not False
        processor = guarded(load(folder, pool, bins, chunked=chunked), folder)
        processor.published_template = processor.chat_template
        return processor

    def complete(self, model: Any, folder: Path) -> None:
        """The published configuration leaves the placeholders to the tokenizer."""
        from .ports.minicpmo.processing import AUDIO_TOKEN, IMAGE_TOKEN

        tokenizer = load_own(folder)
        model.config.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        model.config.audio_token_id = tokenizer.convert_tokens_to_ids(AUDIO_TOKEN)

    def placeholder(self, processor: Any, kind: Modality) -> str | None:
        """The published marks."""
        return {"image": "(<image>./</image>)", "audio": "(<audio>./</audio>)"}.get(kind)

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """Parts stand on lines of their own, as published."""
        template_inputs = dict(template_inputs or {})
        apart = [self.with_instruction(message, template_inputs) for message in messages]
        prepared = super().prepare(processor, [replace(one, parts=lines(one.parts)) for one in apart], template_inputs)
        counts = iter(self.image_counts(processor, prepared))
        media = [replace(one, tokens=next(counts)) if one.kind == "image" else one for one in prepared.media]
        return replace(prepared, media=tuple(media))

    def image_counts(self, processor: Any, prepared: Prepared) -> list[int]:
        """The places of each image: an ``<image>`` begins one, its slices follow."""
        numbers = processor.tokenizer.convert_tokens_to_ids(["<image>", processor.image_token])
        counts: list[int] = []
        for token in prepared.inputs["input_ids"][0].tolist():
            if token == numbers[0]:
                counts.append(0)
            elif token == numbers[1]:
                counts[-1] += 1
        return counts

    def apply_template(
        self, processor: Any, conversation: list[dict[str, Any]], arguments: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """Audio anywhere asks for the template that goes with audio, unless the user named another one.

        That one knows no functions, so a request with functions keeps the one that does.
        """
        from .ports.minicpmo.processing import HEARING

        heard = any(part["type"] == "audio" for turn in conversation for part in turn["content"])
        if heard and processor.chat_template == processor.published_template and not extra.get("tools"):
            processor = copy.copy(processor)
            processor.chat_template = HEARING
        return super().apply_template(processor, conversation, arguments, extra)


def lines(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Parts with a line break between."""
    return tuple(part for index, one in enumerate(parts) for part in ((Text("\n"), one) if index else (one,)))


FAMILY = MiniCPMO
