"""Llama 3.2 Vision: pictures are attended to across, by gates that are zero until they are trained."""

from typing import Any

from ..tokens import template, tokenizer
from . import TEXT, randomized


def build() -> tuple[Any, Any]:
    """Two of four layers see the picture, in up to four tiles of 28 pixels."""
    import transformers

    tokens = tokenizer(["<|image|>", "<|python_tag|>"])
    shape = {key: value for key, value in TEXT.items() if key != "head_dim"}
    config = transformers.MllamaConfig(
        image_token_index=tokens.convert_tokens_to_ids("<|image|>"),
        text_config={
            **shape,
            "vocab_size": len(tokens),
            "num_hidden_layers": 4,
            "cross_attention_layers": [1, 3],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "vision_output_dim": 64 * 3,
            "intermediate_layers_indices": [0, 1],
            "max_num_tiles": 4,
        },
    )
    model = finish(randomized(transformers.MllamaForConditionalGeneration(config)))
    processor = transformers.MllamaProcessor(
        transformers.MllamaImageProcessor(size={"height": 28, "width": 28}, max_image_tiles=4),
        tokens,
        chat_template=template("<|image|>"),
    )
    return model, processor


def finish(model: Any) -> Any:
    """Open the gates."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gate" in name and parameter.numel() == 1:
                parameter.fill_(0.7)
    return model
