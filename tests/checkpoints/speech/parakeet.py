"""Parakeet: log-mel frames, each with its best token (CTC), or a decoder that walks over them (TDT, RNN-T)."""

import json
from pathlib import Path
from typing import Any

from tests.checkpoints.builders import randomized
from tests.checkpoints.speech.pieces import pieces

PUBLISHED: dict[str, Any] = {
    "architectures": ["ParakeetForTDT"],
    "blank_token_id": 8192,
    "decoder_hidden_size": 640,
    "dtype": "float32",
    "durations": [0, 1, 2, 3, 4],
    "encoder_config": {
        "activation_dropout": 0.1,
        "attention_bias": False,
        "attention_dropout": 0.1,
        "conv_kernel_size": 9,
        "convolution_bias": False,
        "dropout": 0.1,
        "dropout_positions": 0.0,
        "hidden_act": "silu",
        "hidden_size": 1024,
        "initializer_range": 0.02,
        "intermediate_size": 4096,
        "layerdrop": 0.1,
        "max_position_embeddings": 5000,
        "model_type": "parakeet_encoder",
        "num_attention_heads": 8,
        "num_hidden_layers": 24,
        "num_key_value_heads": 8,
        "num_mel_bins": 128,
        "scale_input": False,
        "subsampling_conv_channels": 256,
        "subsampling_conv_kernel_size": 3,
        "subsampling_conv_stride": 2,
        "subsampling_factor": 8,
    },
    "hidden_act": "relu",
    "initializer_range": 0.02,
    "is_encoder_decoder": True,
    "max_symbols_per_step": 10,
    "model_type": "parakeet_tdt",
    "num_decoder_layers": 2,
    "pad_token_id": 2,
    "transformers_version": "5.6.0.dev0",
    "vocab_size": 8193,
}
"""The config.json of nvidia/parakeet-tdt-0.6b-v3."""
PROCESSOR = {
    "blank_token": "<blank>",
    "feature_extractor": {
        "feature_extractor_type": "ParakeetFeatureExtractor",
        "feature_size": 128,
        "hop_length": 160,
        "n_fft": 512,
        "padding_side": "right",
        "padding_value": 0.0,
        "preemphasis": 0.97,
        "return_attention_mask": True,
        "sampling_rate": 16000,
        "win_length": 400,
    },
    "processor_class": "ParakeetProcessor",
}
"""Its processor_config.json."""
ENCODER = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "subsampling_conv_channels": 16,
}
BLANK = {"ctc": 2.0, "rnnt": 15.0, "tdt": 5.0}
TINY = {"decoder_hidden_size": 32, "num_decoder_layers": 1}


def write(folder: Path, kind: str) -> None:
    """As on the hub: ``kind`` is ``ctc``, ``rnnt`` or ``tdt``. Only the files of the last were found published."""
    import torch
    import transformers

    ctc = kind == "ctc"
    letters = pieces("<unk>", last="<pad>") if ctc else pieces("<unk>", "<s>", "<pad>", last="<blank>")
    tokenizer = transformers.ParakeetTokenizer(tokenizer_object=letters, unk_token="<unk>", pad_token="<pad>")
    config = {**PUBLISHED, **TINY, "encoder_config": {**PUBLISHED["encoder_config"], **ENCODER}}
    config |= {"architectures": [f"ParakeetFor{kind.upper()}"], "model_type": f"parakeet_{kind}"}
    config |= {"vocab_size": len(tokenizer), "blank_token_id": len(tokenizer) - 1}
    if ctc:
        of_transducers = ("blank_token_id", "decoder_hidden_size", "hidden_act", "max_symbols_per_step")
        for key in (*of_transducers, "num_decoder_layers", "is_encoder_decoder"):
            del config[key]
        config["pad_token_id"] = len(tokenizer) - 1
    if kind != "tdt":
        del config["durations"]
    described: Any = getattr(transformers, f"Parakeet{kind.upper()}Config")(**config)
    model = randomized(getattr(transformers, f"ParakeetFor{kind.upper()}")(described))
    head = model.ctc_head if ctc else model.joint.head
    with torch.no_grad():  # silences between the letters
        next(head.parameters()).mul_(2)
        list(head.parameters())[1][len(tokenizer) - 1] += BLANK[kind]
        if kind == "tdt":  # and few letters that take no time
            model.joint.head.bias[len(tokenizer)] -= 6.0
    if not ctc:
        model.generation_config = transformers.GenerationConfig(
            decoder_start_token_id=len(tokenizer) - 1,
            pad_token_id=2,
            suppress_tokens=[len(tokenizer) + at for at in range(5)] if kind == "tdt" else None,
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "processor_config.json").write_text(json.dumps(PROCESSOR), encoding="utf-8")
