"""Whisper: log-mel windows of 30 seconds, byte-level text, and tokens for languages, tasks and times."""

import json
from pathlib import Path
from typing import Any

from tests.checkpoints.builders import randomized

LANGUAGES = ("en", "de", "fr", "ja")
TASKS = ("translate", "transcribe")
PUBLISHED: dict[str, Any] = {
    "activation_dropout": 0.0,
    "activation_function": "gelu",
    "apply_spec_augment": False,
    "architectures": ["WhisperForConditionalGeneration"],
    "attention_dropout": 0.0,
    "classifier_proj_size": 256,
    "decoder_layerdrop": 0.0,
    "dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "init_std": 0.02,
    "is_encoder_decoder": True,
    "mask_feature_length": 10,
    "mask_feature_min_masks": 0,
    "mask_feature_prob": 0.0,
    "mask_time_length": 10,
    "mask_time_min_masks": 2,
    "mask_time_prob": 0.05,
    "max_source_positions": 1500,
    "median_filter_width": 7,
    "model_type": "whisper",
    "num_mel_bins": 80,
    "predict_timestamps": True,
    "scale_embedding": False,
    "suppress_tokens": [],
    "torch_dtype": "float32",
    "transformers_version": "4.40.0",
    "use_cache": True,
    "use_weighted_layer_sum": False,
}
"""The config.json of a published whisper-small that was trained further, without sizes and ids."""
END = {"content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
TOKENIZER: dict[str, Any] = {
    "add_bos_token": False,
    "add_prefix_space": False,
    "bos_token": {"__type": "AddedToken", **END},
    "eos_token": {"__type": "AddedToken", **END},
    "errors": "replace",
    "model_max_length": 448,
    "name_or_path": "openai/whisper-base",
    "pad_token": None,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": False,
    "special_tokens_map_file": None,
    "tokenizer_class": "WhisperTokenizer",
    "unk_token": {"__type": "AddedToken", **END, "content": ""},
}
"""The tokenizer_config.json of openai/whisper-base, of which a copy is at github.com/theonlyengine/whisper-base."""
SPECIAL = {"bos_token": END, "eos_token": END, "pad_token": "<|endoftext|>", "unk_token": END | {"content": ""}}
"""Its special_tokens_map.json, without the list of additional tokens."""
PREPROCESSOR = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frame": 3000,
    "num_mel_bins": 80,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": True,
    "sampling_rate": 16000,
}
"""Its preprocessor_config.json, without the table of mel filters."""


def write(folder: Path) -> None:
    """As on the hub: a byte-level tokenizer with special tokens in Whisper's order, and their ids for generation."""
    import torch
    import transformers
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate([*letters, "", "<|endoftext|>"])}
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer: Any = transformers.WhisperTokenizer.from_pretrained(folder)
    names = ["startoftranscript", *LANGUAGES, *TASKS, "startoflm", "startofprev", "nospeech", "notimestamps"]
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in names]})
    tokenizer.add_tokens([f"<|{step * 0.02:.2f}|>" for step in range(1501)])
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("endoftext", *names)}
    end, start = ids["endoftext"], ids["startoftranscript"]
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=64,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_target_positions=64,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        begin_suppress_tokens=[letters.index("Ġ"), end],
        suppress_tokens=[],
        tie_word_embeddings=False,  # a random tied head repeats what it is given
    )
    model = randomized(transformers.WhisperForConditionalGeneration(config))
    with torch.no_grad():  # what is heard must outweigh when
        model.model.encoder.conv1.weight.mul_(5)
        model.model.encoder.embed_positions.weight.mul_(0.2)
        model.model.decoder.embed_tokens.weight.mul_(0.6)
        model.model.decoder.embed_positions.weight.mul_(4)
        for layer in model.model.decoder.layers:
            layer.encoder_attn.out_proj.weight.mul_(4)
            layer.self_attn.out_proj.weight.mul_(8)
    model.generation_config = transformers.GenerationConfig(
        alignment_heads=[[0, 0], [1, 1]],
        begin_suppress_tokens=[letters.index("Ġ"), end],
        bos_token_id=end,
        decoder_start_token_id=start,
        eos_token_id=end,
        is_multilingual=True,
        lang_to_id={f"<|{name}|>": ids[name] for name in LANGUAGES},
        max_initial_timestamp_index=50,
        max_length=64,
        no_timestamps_token_id=ids["notimestamps"],
        pad_token_id=end,
        prev_sot_token_id=ids["startofprev"],
        return_timestamps=False,
        suppress_tokens=[ids[name] for name in ("startoftranscript", *TASKS, "startoflm", "startofprev", "nospeech")],
        task_to_id={name: ids[name] for name in TASKS},
    )
    model.save_pretrained(folder)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    transformers.WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    (folder / "processor_config.json").unlink()  # published checkpoints have the files of former versions
    special = SPECIAL | {"additional_special_tokens": ["<|endoftext|>", *(f"<|{name}|>" for name in names)]}
    old = (("tokenizer_config", TOKENIZER), ("special_tokens_map", special), ("preprocessor_config", PREPROCESSOR))
    for name, held in old:
        (folder / f"{name}.json").write_text(json.dumps(held), encoding="utf-8")
    forced = {"forced_decoder_ids": [[1, ids["en"]], [2, ids["transcribe"]], [3, ids["notimestamps"]]]}
    dressed = config.to_diff_dict() | forced | {"max_length": 64, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(dressed | PUBLISHED), encoding="utf-8")
    # published generation configurations force the task, though a language is found
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    generation |= {"forced_decoder_ids": [[1, None], [2, ids["transcribe"]]], "transformers_version": "4.40.0"}
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
