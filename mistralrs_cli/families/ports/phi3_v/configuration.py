"""The published configuration of Phi-3.5 Vision."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import Phi3Config

CLIP_LARGE_336 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}


@strict
class Phi3VConfig(Phi3Config):
    """Phi-3's, with the tower that ``img_processor`` names: CLIP ViT-L/14 at 336 pixels.

    ``vision_config`` describes another CLIP. The published code marks an image's places in a prompt by negative ids;
    here they have an id of the vocabulary, ``image_token_id``, that nothing else uses.
    """

    model_type = "phi3_v"

    img_processor: dict[str, Any] | None = None
    embd_layer: dict[str, Any] | None = None
    vision_config: dict[str, Any] | None = None
    image_token_id: int = 32044  # <|image|>

    def __post_init__(self, **kwargs: Any) -> None:
        if self.sliding_window is not None and self.sliding_window >= self.max_position_embeddings:
            self.sliding_window = None  # wider than the context: no window, and a cache that grows in place
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]

    def convert_rope_params_to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """LongRoPE under its first name, ``su``, which transformers renames only after it has looked for it."""
        scaling = kwargs.get("rope_scaling")
        if scaling and scaling.get("type", scaling.get("rope_type")) == "su":
            kinds = ("type", "rope_type")
            kept = {key: value for key, value in scaling.items() if key not in kinds}
            kwargs["rope_scaling"] = kept | {"rope_type": "longrope"}
        converted: dict[str, Any] = super().convert_rope_params_to_dict(*args, **kwargs)
        return converted

    @property
    def tower(self) -> dict[str, Any]:
        """The settings of the CLIP tower."""
        return self.vision_config or CLIP_LARGE_336

    @property
    def tower_state(self) -> int:
        """Which of the tower's hidden states are an image's features; the last but one."""
        return int((self.img_processor or {}).get("layer_idx", -2))

    @property
    def whole_first(self) -> bool:
        """Whether the shrunk image comes before its tiles."""
        order: str = (self.embd_layer or {}).get("hd_transform_order", "sub_glb")
        return order == "glb_sub"
