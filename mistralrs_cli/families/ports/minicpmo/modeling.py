"""MiniCPM-o 2.6: slices of images and windows of audio in the places of their tokens, before Qwen2."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, Qwen2ForCausalLM, WhisperConfig
from transformers.models.minicpmv4_6.configuration_minicpmv4_6 import MiniCPMV4_6VisionConfig
from transformers.models.minicpmv4_6.modeling_minicpmv4_6 import MiniCPMV4_6VisionModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .configuration import MiniCPMOConfig
from .resampler import Resampler

FRAMES_A_SECOND = 50  # after Whisper's convolutions


class PackedSiglip(MiniCPMV4_6VisionModel):
    """The SigLIP that a later MiniCPM shares, without what that one adds: patches of all slices in one sequence."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        del self.vit_merger


class AudioProjection(nn.Module):
    """From Whisper's width to the decoder's."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(taken, given)
        self.linear2 = nn.Linear(given, given)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[..., taken] to [..., given]."""
        out: torch.Tensor = self.linear2(functional.relu(self.linear1(states)))
        return out


class MiniCPMOForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """The published names: ``llm`` the decoder, ``vpm`` and ``resampler`` the eye, ``apm`` the ear."""

    config_class = MiniCPMOConfig
    base_model_prefix = ""
    input_modalities = ["text", "image", "audio"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _no_split_modules = ["Qwen2DecoderLayer", "MiniCPMV4_6VisionEncoderLayer", "WhisperEncoderLayer"]  # noqa: RUF012
    _keys_to_ignore_on_load_unexpected = [r"^tts\."]  # noqa: RUF012

    def __init__(self, config: MiniCPMOConfig) -> None:
        super().__init__(config)
        kind = {"attn_implementation": config._attn_implementation}
        self.llm = Qwen2ForCausalLM._from_config(config.decoder_config(), **kind)
        eye = MiniCPMV4_6VisionConfig(**without_type(config.vision_config))
        self.vpm = PackedSiglip._from_config(eye, **kind)
        self.resampler = Resampler(config.query_num, config.hidden_size, eye.hidden_size)
        ear = WhisperConfig(**without_type(config.audio_config))
        self.apm = WhisperEncoder._from_config(ear, **kind)
        self.audio_projection_layer = AudioProjection(ear.encoder_ffn_dim // 4, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The decoder's."""
        found: nn.Module = self.llm.get_input_embeddings()
        return found

    def get_output_embeddings(self) -> nn.Module:
        """The decoder's head."""
        head: nn.Module = self.llm.lm_head
        return head

    def image_states(self, pixel_values: torch.Tensor, tgt_sizes: torch.Tensor) -> torch.Tensor:
        """``pixel_values`` [1, 3, patch, patch · patches of all slices]; ``tgt_sizes`` [slices, 2] rows and columns.
        [slices, queries, hidden]."""
        states = self.vpm(pixel_values.to(self.dtype), target_sizes=tgt_sizes.cpu(), use_vit_merger=False)
        found: torch.Tensor = self.resampler(states.last_hidden_state[0], tgt_sizes.tolist())
        return found

    def audio_states(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Whisper over spectrograms [windows, mel bins, most frames], ``frames`` [windows] of which are audio."""
        ear = self.apm
        states = functional.gelu(ear.conv2(functional.gelu(ear.conv1(features.to(self.dtype))))).transpose(1, 2)
        states = states + ear.embed_positions.weight[: states.shape[1]]
        place = torch.arange(states.shape[1], device=states.device)
        seen = place[None, None] < halved(frames)[:, None, None]
        step = int(self.config.audio_chunk_length * FRAMES_A_SECOND)
        if step > 0:
            seen = seen & (place[None] // step <= place[:, None] // step)
        mask = torch.zeros(seen.shape, dtype=states.dtype, device=states.device)
        mask = mask.masked_fill(~seen, torch.finfo(states.dtype).min)[:, None]
        for layer in ear.layers:
            states = layer(states, mask)
        normed: torch.Tensor = ear.layer_norm(states)
        return normed

    def audio_tokens(self, input_features: torch.Tensor, audio_frames: torch.Tensor) -> torch.Tensor:
        """The tokens of all windows, one after the other: [tokens, hidden]."""
        step = self.config.audio_pool_step
        states = self.audio_projection_layer(self.audio_states(input_features, audio_frames))
        pooled = functional.avg_pool1d(states.transpose(1, 2), step, step).transpose(1, 2)
        counts = ((halved(audio_frames) - step) // step + 1).tolist()
        return torch.cat([window[:count] for window, count in zip(pooled, counts, strict=True)])

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        tgt_sizes: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        audio_frames: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> Any:
        """As Qwen2's; images as in ``image_states``, audio as in ``audio_tokens``."""
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
            if pixel_values is not None and tgt_sizes is not None:
                found = self.image_states(pixel_values, tgt_sizes).flatten(0, 1)
                inputs_embeds = placed(inputs_embeds, input_ids == self.config.image_token_id, found)
            if input_features is not None and audio_frames is not None:
                found = self.audio_tokens(input_features, audio_frames)
                inputs_embeds = placed(inputs_embeds, input_ids == self.config.audio_token_id, found)
        return self.llm(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        tgt_sizes: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        audio_frames: torch.Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Media go with the prompt, not with each token after it."""
        prepare: Any = super().prepare_inputs_for_generation  # type: ignore[misc]
        inputs: dict[str, Any] = prepare(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs |= {"pixel_values": pixel_values, "tgt_sizes": tgt_sizes}
            inputs |= {"input_features": input_features, "audio_frames": audio_frames}
        return inputs


def without_type(settings: dict[str, Any] | None) -> dict[str, Any]:
    """A tower's settings without the name that another class has for it."""
    return {key: value for key, value in (settings or {}).items() if key != "model_type"}


def halved(frames: torch.Tensor) -> torch.Tensor:
    """How many frames Whisper's second convolution leaves."""
    return (frames - 1) // 2 + 1


def placed(embeddings: torch.Tensor, places: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Embeddings with those of media in their places. Raises ``ValueError`` where the numbers differ."""
    if int(places.sum()) != len(found):
        raise ValueError(f"{int(places.sum())} places in the prompt for {len(found)} media tokens")
    return embeddings.masked_scatter(places.unsqueeze(-1), found.to(embeddings))
