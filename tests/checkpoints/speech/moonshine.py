"""Moonshine: raw samples in, text out."""

import json
from pathlib import Path
from typing import Any

from tests.checkpoints.builders import randomized
from tests.checkpoints.speech.pieces import pieces

PUBLISHED = {
    "architectures": ["MoonshineForConditionalGeneration"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "decoder_hidden_act": "silu",
    "decoder_num_attention_heads": 8,
    "decoder_num_hidden_layers": 8,
    "decoder_num_key_value_heads": 8,
    "decoder_start_token_id": 1,
    "encoder_hidden_act": "gelu",
    "encoder_num_attention_heads": 8,
    "encoder_num_hidden_layers": 8,
    "encoder_num_key_value_heads": 8,
    "eos_token_id": 2,
    "hidden_size": 416,
    "initializer_range": 0.02,
    "intermediate_size": 1664,
    "is_encoder_decoder": True,
    "max_position_embeddings": 512,
    "model_type": "moonshine",
    "num_attention_heads": 8,
    "num_hidden_layers": 8,
    "num_key_value_heads": 8,
    "partial_rotary_factor": 0.62,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "torch_dtype": "float32",
    "transformers_version": "4.48.0.dev0",
    "use_cache": True,
    "vocab_size": 32768,
}
"""The config.json of onnx-community/moonshine-base-ONNX."""
TINY: dict[str, Any] = {
    **{f"{part}_num_{kind}": 2 for part in ("encoder", "decoder") for kind in ("attention_heads", "key_value_heads")},
    **{f"{part}num_hidden_layers": 2 for part in ("encoder_", "decoder_", "")},
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "hidden_size": 104,
    "intermediate_size": 208,
    "tie_word_embeddings": False,  # a random tied head repeats what it is given
}


def write(folder: Path) -> None:
    """As on the hub, with a tokenizer of letters."""
    import torch
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces("<unk>", "<s>", "</s>"), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    config = {**PUBLISHED, **TINY, "vocab_size": len(tokenizer)}
    model = randomized(transformers.MoonshineForConditionalGeneration(transformers.MoonshineConfig(**config)))
    with torch.no_grad():  # what is heard must outweigh what was written
        for layer in model.model.decoder.layers:
            layer.encoder_attn.o_proj.weight.mul_(4)
    model.save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
