"""Gemma 4, dense: pictures, sounds and clips."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized

SEED = 4  # of weights whose answers are long enough, and differ


def build(**decoder: Any) -> tuple[Any, Any]:
    """Gemma 4 with sliding layers shorter than the prompts, shared KV layers and per-layer inputs."""
    import transformers

    names = ["<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]
    tokens = tokenizer(
        names,
        dict(
            zip(["boi_token", "eoi_token", "image_token", "boa_token", "eoa_token", "audio_token"], names, strict=False)
        ),
        gemma=True,
    )
    number = tokens.convert_tokens_to_ids
    config = transformers.Gemma4Config(
        text_config={
            **TEXT,
            "vocab_size": len(tokens),
            "vocab_size_per_layer_input": len(tokens),
            "num_hidden_layers": 4,
            "global_head_dim": 64,
            "sliding_window": 24,
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 2,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "tie_word_embeddings": False,
            **decoder,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "position_embedding_size": 1024,
        },
        audio_config={
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "subsampling_conv_channels": [128, 4],
            "output_proj_dims": 96,
        },
        boi_token_id=number("<|image>"),
        eoi_token_id=number("<image|>"),
        image_token_id=number("<|image|>"),
        video_token_id=number("<|video|>"),
        boa_token_id=number("<|audio>"),
        eoa_token_index=number("<audio|>"),
        audio_token_id=number("<|audio|>"),
        tie_word_embeddings=False,
    )
    size: dict[str, Any] = {"patch_size": 4, "max_soft_tokens": 70, "pooling_kernel_size": 2}
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(),
        transformers.Gemma4ImageProcessor(**size),
        tokens,
        transformers.Gemma4VideoProcessor(num_frames=4, **size),
        chat_template=template("<|image|>", "<|video|>", "<|audio|>"),
        image_seq_length=70,
    )
    return randomized(transformers.Gemma4ForConditionalGeneration(config)), processor
