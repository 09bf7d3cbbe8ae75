"""Phi-4 Multimodal with its two adapters beside the decoder's linear layers, under the names of the published files."""

from __future__ import annotations

from transformers import Phi4MultimodalForCausalLM

from .adapters import adapt
from .configuration import Phi4MMConfig

# Published names, and transformers' for the same weights. A pattern may hold one group at the most.
RENAMED = (
    (r"(feed_forward_\w+)\.net\.0\.linear\.", r"\1.gate_up_proj."),
    (r"(feed_forward_\w+)\.net\.2\.", r"\1.down_proj."),
    (r"(encoders\.\d+\.self_attn)\.linear_q\.", r"\1.q_proj."),
    (r"(encoders\.\d+\.self_attn)\.linear_k\.", r"\1.k_proj."),
    (r"(encoders\.\d+\.self_attn)\.linear_v\.", r"\1.v_proj."),
    (r"(encoders\.\d+\.self_attn)\.linear_out\.", r"\1.o_proj."),
    (r"image_embed\.img_projection\.0\.", "image_embed.img_projection_up."),
    (r"image_embed\.img_projection\.2\.", "image_embed.img_projection_down."),
    (r"image_embed\.glb_GN", "image_embed.global_img_feature_extensor"),
    (r"image_embed\.sub_GN", "image_embed.sub_img_feature_extensor"),
    (r"audio_projection\.speech\.0\.", "up_proj_for_speech."),
    (r"audio_projection\.speech\.2\.", "down_proj_for_speech."),
    (r"audio_projection\.vision\.0\.", "up_proj_for_vision_speech."),
    (r"audio_projection\.vision\.2\.", "down_proj_for_vision_speech."),
)


class Phi4MMForCausalLM(Phi4MultimodalForCausalLM):
    """``selection`` says which adapter is in use; the caller sets it before each forward pass."""

    config_class = Phi4MMConfig
    # The tower ends before its pooling head: features are taken from its last but one state.
    _keys_to_ignore_on_load_missing = [r"img_processor\.(head|post_layernorm)\."]  # noqa: RUF012

    def __init__(self, config: Phi4MMConfig) -> None:
        super().__init__(config)
        adapt(self, config.adapters)
        self.post_init()
