"""Any model that reads more than text, that transformers knows, and that needs no words of its own here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..decoded import DecodedAudio
from ..messages import MODALITIES, DecodedMedia, Message, Modality, decoded_media
from .automodels import model_class
from .base import Family, Prepared
from .runs import PLACES, replaced

TOWERS = {"image": "vision_config", "audio": "audio_config"}


class Replacing(Family):
    """A family whose processor says by what it replaced each placeholder, so that its tokens can be counted there.

    Where images have rows, tiles or marks between their tokens, one run of placeholders is not one image.
    """

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Have the processor tell its replacements."""
        arguments = super().media_arguments(media)
        return arguments | {"return_text_replacement_offsets": True} if media else arguments

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """As every family does, with the tokens of each medium counted in its replacement."""
        prepared = super().prepare(processor, messages, template_inputs)
        places = prepared.inputs.pop(PLACES, None)
        if not places:
            return prepared
        ids = {token for kind in MODALITIES for token in self.placeholder_ids(processor, kind)}
        tokens = processor.tokenizer.convert_ids_to_tokens(sorted(ids))
        media = decoded_media(messages)
        pieces = [len(self.windows(one.data)) if isinstance(one.data, DecodedAudio) else 1 for one in media]
        counts = replaced(places[0], [one.kind for one in media], pieces, tokens)
        if counts is None:
            return prepared
        reports = zip(prepared.media, counts, strict=True)
        return replace(prepared, media=tuple(replace(report, tokens=count) for report, count in reports))


class VisionFamily(Replacing):
    """A generic multimodal model. Its class says what it reads, unless its configuration leaves a tower out."""

    name: ClassVar[str] = "multimodal"
    chunked_prefill: ClassVar[bool] = False  # some attend in both directions, to a whole prompt even

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """The checkpoint's processor; one of Qwen's kind lets a frame cost what its reference implementation does."""
        processor = super().load_processor(folder, trust_remote_code=trust_remote_code)
        videos = getattr(processor, "video_processor", None)
        if videos is not None and getattr(videos, "cap_pixels_per_frame", True) is None:
            videos.cap_pixels_per_frame = True
        return processor

    @cached_property
    def modalities(self) -> frozenset[Modality]:
        """What the class reads; for one that only the checkpoint's own code has, what the configuration describes."""
        try:
            found = model_class(str(self.config.get("model_type")), self.automodel)
        except ImportError:
            found = None
        if found is None:
            return super().modalities
        left_out = {kind for kind, key in TOWERS.items() if self.config.get(key, key) is None}
        return frozenset(kind for kind in MODALITIES if kind in found.input_modalities and kind not in left_out)
