"""The published configuration of Phi-4 Multimodal in the terms of transformers' own ``Phi4MultimodalConfig``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import Phi4MultimodalConfig

END_OF_TURN = 200020  # <|end|>: ends an answer, and the published configuration does not say so
RENAMED = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
}
KEPT = (
    "activation",
    "num_blocks",
    "chunk_size",
    "left_chunk",
    "dropout_rate",
    "ext_pw_out_channel",
    "depthwise_multiplier",
    "kernel_size",
    "conv_activation",
    "input_size",
    "conv_glu_type",
    "time_reduction",
)


@strict
class Phi4MMConfig(Phi4MultimodalConfig):
    """``vision_lora`` and ``speech_lora`` describe the adapters: their rank ``r`` and ``lora_alpha``.

    The published file keeps the towers under ``embd_layer`` and ``audio_processor``; saved again, it has
    ``vision_config`` and ``audio_config``, and both are read.
    """

    model_type = "phi4mm"

    image_token_id: int = 200010  # <|endoftext10|>
    audio_token_id: int = 200011  # <|endoftext11|>
    vision_lora: dict[str, Any] | None = None
    speech_lora: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        layers = kwargs.pop("embd_layer", None) or {}
        audio = (kwargs.pop("audio_processor", None) or {}).get("config")
        kwargs.pop("img_processor", None)
        if self.vision_config is None:
            crop = layers.get("image_embd_layer", {}).get("crop_size")
            self.vision_config = {} if crop is None else {"crop_size": crop}
        if self.audio_config is None:
            self.audio_config = audio_tower(audio or {}, layers.get("audio_embd_layer", {}))
        if isinstance(self.vision_config, dict):
            self.vision_config.setdefault("image_token_id", self.image_token_id)
        if isinstance(self.audio_config, dict):
            self.audio_config.setdefault("audio_token_id", self.audio_token_id)
        if self.sliding_window is not None and self.sliding_window >= self.max_position_embeddings:
            self.sliding_window = None  # wider than the context: no window, and a cache that grows in place
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        ends = self.eos_token_id if isinstance(self.eos_token_id, list) else [self.eos_token_id]
        if self.vocab_size > END_OF_TURN and END_OF_TURN not in ends:
            self.eos_token_id = [*ends, END_OF_TURN]

    @property
    def adapters(self) -> dict[str, tuple[int, float]]:
        """Rank and scale of each adapter, by its name in the files."""
        found = {"vision": self.vision_lora, "speech": self.speech_lora}
        return {name: (lora["r"], lora["lora_alpha"] / lora["r"]) for name, lora in found.items() if lora}


def audio_tower(published: Mapping[str, Any], embedding: Mapping[str, Any]) -> dict[str, Any]:
    """The published encoder's settings under transformers' names."""
    found = {name: published[name] for name in KEPT if name in published}
    found |= {new: published[old] for old, new in RENAMED.items() if old in published}
    if "nemo_conv_settings" in published:
        found["nemo_conv_channels"] = published["nemo_conv_settings"]["conv_channels"]
    if "relative_attention_bias_args" in published:
        found["bias_max_distance"] = published["relative_attention_bias_args"]["t5_bias_max_distance"]
    if "downsample_rate" in embedding:
        found["downsample_rate"] = embedding["downsample_rate"]
    return found
