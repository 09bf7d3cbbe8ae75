"""Phi-4 Multimodal in transformers' own layout: images, audio, and both in one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..messages import Message
from .base import Family, Prepared
from .encoder import Encoder
from .listing import Listing
from .same_size import same_size
from .tokenizers import guarded


class Phi4Multimodal(Family):
    """``model_type: phi4_multimodal``. Audio is taken whole, however long."""

    name: ClassVar[str] = "Phi-4 Multimodal"
    listing: ClassVar[Listing | None] = Listing(
        "Phi4MM",
        "microsoft/Phi-4-multimodal-instruct",
        ("image", "audio"),
        note="Answers decode together where their prompts need the same adapter: for images, for audio, or none.",
    )
    towers: ClassVar[tuple[str, ...]] = ("embed_tokens_extend", "lora_")
    shortest_audio: ClassVar[float] = 0.025  # one window of the spectrogram
    encoders: ClassVar[tuple[Encoder, ...]] = (
        Encoder("embed_tokens_extend.image_embed.get_img_features"),
        Encoder("embed_tokens_extend.audio_embed.encoder"),
    )

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """Transformers' processor, which does not keep its template."""
        from .ports.phi4mm.processing import Phi4MMProcessor

        return guarded(Phi4MMProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code), folder)

    def complete(self, model: Any, folder: Path) -> None:
        """Read the adapters, which lie in folders beside the model."""
        from .ports.phi4mm.adapter_files import attach

        attach(model, folder)

    def set_adapter(self, model: Any, adapter: Any) -> None:
        """Use an adapter in the decoder: ``vision``, ``speech`` or none."""
        model.selection.choose(adapter)

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """The adapter is that of the whole conversation: for an image anywhere in it, else for audio."""
        prepared = super().prepare(processor, same_size(messages), template_inputs)
        counts = {
            "image": iter(prepared.inputs.pop("num_img_tokens", ())),
            "audio": iter(prepared.inputs.get("audio_embed_sizes", ())),
        }
        media = tuple(replace(report, tokens=int(next(counts[report.kind]))) for report in prepared.media)
        kinds = {report.kind for report in media}
        adapter = "vision" if "image" in kinds else "speech" if "audio" in kinds else None
        # images change with those that come later, and audio's projection with the images around it
        reusable = prepared.reusable and (adapter != "vision" or len(media) == 1)
        return replace(prepared, media=media, adapter=adapter, reusable=reusable)


FAMILY = Phi4Multimodal
