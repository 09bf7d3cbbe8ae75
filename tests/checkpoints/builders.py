"""Tiny random checkpoints with each family's own config, processor and tokenizer classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mistralrs_cli.loading.torchvision import ensure_importable

from .tokens import template, tokenizer

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def lively(model: Any, seed: int = 0) -> Any:
    """Weights large enough that a random model's answer depends on everything in its prompt."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                scale = 1.0 if "embed_tokens" in name else 1.5 * parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.eval()


def llama() -> tuple[Any, Any]:
    """A plain text model."""
    import transformers

    tokens = tokenizer()
    tokens.chat_template = template()
    config = transformers.LlamaConfig(vocab_size=len(tokens), num_hidden_layers=3, **TEXT)
    return lively(transformers.LlamaForCausalLM(config)), tokens


def llava() -> tuple[Any, Any]:
    """A generic vision model: transformers knows it, this package has no file for it."""
    import transformers

    tokens = tokenizer(["<image>"])
    config = transformers.LlavaConfig(
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        text_config={"model_type": "llama", "vocab_size": len(tokens), "num_hidden_layers": 2, **TEXT},
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "projection_dim": 32,
        },
    )
    processor = transformers.LlavaProcessor(
        transformers.LlavaImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    return lively(transformers.LlavaForConditionalGeneration(config)), processor


def gemma4() -> tuple[Any, Any]:
    """Gemma 4 with sliding layers shorter than the prompts, shared KV layers and per-layer inputs."""
    import transformers

    names = ["<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]
    tokens = tokenizer(
        names,
        dict(
            zip(["boi_token", "eoi_token", "image_token", "boa_token", "eoa_token", "audio_token"], names, strict=False)
        ),
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
    size = {"patch_size": 4, "max_soft_tokens": 70, "pooling_kernel_size": 2}
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(),
        transformers.Gemma4ImageProcessor(**size),
        tokens,
        transformers.Gemma4VideoProcessor(num_frames=4, **size),
        chat_template=template("<|image|>", "<|video|>", "<|audio|>"),
        image_seq_length=70,
    )
    return lively(transformers.Gemma4ForConditionalGeneration(config)), processor


QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_TEMPLATE = (
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|vision_start|><|video_pad|><|vision_end|>",
)


def qwen_ids(tokens: Any) -> dict[str, int]:
    """The placeholder ids that a Qwen configuration repeats."""
    names = ["vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id"]
    return dict(zip(names, tokens.convert_tokens_to_ids(QWEN), strict=True))


def qwen_text(tokens: Any, **more: Any) -> dict[str, Any]:
    """The decoder of a Qwen3 generation vision model: three-axis interleaved rotary positions."""
    rope = {
        "rope_type": "default",
        "mrope_section": [4, 6, 6],
        "mrope_interleaved": True,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 1.0,
    }
    return {**TEXT, "vocab_size": len(tokens), "num_hidden_layers": 2, "rope_parameters": rope, **more}


def qwen_vision(**more: Any) -> dict[str, Any]:
    """Its vision tower."""
    return {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
        **more,
    }


def qwen_processor(tokens: Any) -> Any:
    """The processor that Qwen3-VL and Qwen3.5 share."""
    import transformers

    size = {"shortest_edge": 32 * 32 * 2, "longest_edge": 32 * 32 * 16}
    return transformers.Qwen3VLProcessor(
        transformers.Qwen2VLImageProcessor(size=size, patch_size=16),
        tokens,
        transformers.Qwen3VLVideoProcessor(size={**size, "longest_edge": 32 * 32 * 64}),
        chat_template=template(*QWEN_TEMPLATE),
    )


def qwen3_vl() -> tuple[Any, Any]:
    """Qwen3-VL with deepstack features."""
    import transformers

    tokens = tokenizer(QWEN)
    config = transformers.Qwen3VLConfig(
        **qwen_ids(tokens), text_config=qwen_text(tokens), vision_config=qwen_vision(deepstack_visual_indexes=[0])
    )
    return lively(transformers.Qwen3VLForConditionalGeneration(config)), qwen_processor(tokens)


def qwen3_5() -> tuple[Any, Any]:
    """Qwen3.5, whose linear attention layers keep states instead of keys and values."""
    import transformers

    tokens = tokenizer(QWEN)
    text = qwen_text(
        tokens,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        layer_types=["linear_attention", "full_attention"],
    )
    config = transformers.Qwen3_5Config(**qwen_ids(tokens), text_config=text, vision_config=qwen_vision())
    return lively(transformers.Qwen3_5ForConditionalGeneration(config)), qwen_processor(tokens)


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llama": llama,
    "llava": llava,
    "gemma4": gemma4,
    "qwen3_vl": qwen3_vl,
    "qwen3_5": qwen3_5,
}


def build(name: str, folder: Path) -> Path:
    """Write a tiny checkpoint the way its family is published."""
    ensure_importable()
    model, processor = BUILDERS[name]()
    model.generation_config.eos_token_id = None if name == "llama" else 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
