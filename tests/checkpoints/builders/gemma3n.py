"""Gemma 3n: a MobileNet tower, sounds, per-layer inputs, alternating updates and shared KV layers."""

from typing import Any

from mistralrs_cli.messages import Message, Text

from ..tokens import template, tokenizer
from . import TEXT, randomized

NAMES = {
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "boa_token": "<start_of_audio>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}

SHALLOW = {
    **TEXT,
    "num_hidden_layers": 6,
    "sliding_window": 24,
    "layer_types": ["sliding_attention", "full_attention"] * 3,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 2,
    "laurel_rank": 8,
    "activation_sparsity_pattern": [0.95] * 2 + [0.0] * 4,
}

NESTED = {
    "hidden_size": 8,
    "intermediate_size": 16384,
    "num_hidden_layers": 35,
    "num_kv_shared_layers": 15,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "sliding_window": 16,
    "hidden_size_per_layer_input": 4,
    "laurel_rank": 4,
}
"""The depth, widths and sharing of E4B, on which the published MatFormer slices fit; the rest is tiny."""


def build(text: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """Pictures take 4 tokens, sounds 188. ``text`` replaces the shape of the text decoder."""
    import transformers

    tokens = tokenizer(list(NAMES.values()), NAMES, gemma=True)
    size = len(tokens)
    config = transformers.Gemma3nConfig(
        text_config={
            "vocab_size": size + 16,
            "vocab_size_per_layer_input": size,
            "altup_num_inputs": 2,
            **(SHALLOW if text is None else text),
        },
        vision_config={
            "architecture": "mobilenetv5_300m_enc",
            "hidden_size": 2048,
            "vocab_size": 8,
            "vocab_offset": size,
            "model_args": {"channel_multiplier": 0.05, "msfa_output_resolution": 2},
        },
        audio_config={
            "vocab_size": 8,
            "vocab_offset": size + 8,
            "hidden_size": 32,
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 2,
            "sscp_conv_channel_size": (16, 8),
            "input_feat_size": 128,
        },
        audio_soft_tokens_per_image=188,
        vision_soft_tokens_per_image=4,
        **{f"{name}_id": tokens.convert_tokens_to_ids(token) for name, token in NAMES.items()},
    )
    processor = transformers.Gemma3nProcessor(
        transformers.Gemma3nAudioFeatureExtractor(),
        transformers.SiglipImageProcessor(size={"height": 128, "width": 128}, do_normalize=False),
        tokens,
        chat_template=template("<image_soft_token>", audio="<audio_soft_token>"),
        audio_seq_length=188,
        image_seq_length=4,
    )
    return randomized(transformers.Gemma3nForConditionalGeneration(config)), processor


def published(processor: Any, messages: list[Message]) -> dict[str, Any]:
    """Its processor knows no clips: they are shown as pictures, each after its time."""
    from PIL import Image

    def items(part: Any) -> list[dict[str, Any]]:
        match part:
            case Text():
                return [{"type": "text", "text": part.text}]
            case _ if part.kind == "image":
                return [{"type": "image", "image": part.data.image}]
            case _ if part.kind == "audio":
                return [{"type": "audio", "audio": part.data.samples}]
        frames: list[dict[str, Any]] = []
        for index, frame in zip(part.data.indices, part.data.frames, strict=True):
            frames += [
                {"type": "text", "text": f"Frame at {index / part.data.fps:.1f} s:"},
                {"type": "image", "image": Image.fromarray(frame)},
            ]
        return frames

    turns = [
        {"role": message.role, "content": [item for part in message.parts for item in items(part)]}
        for message in messages
    ]
    return dict(
        processor.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        )
    )
