"""Voxtral: a Whisper encoder before a Llama decoder, and a tokenizer in Mistral's own file."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.messages import Message, Text
from tests.checkpoints.media import audio_of

from . import TEXT, randomized

NAMED = {
    0: "<unk>",
    1: "<s>",
    2: "</s>",
    3: "[INST]",
    4: "[/INST]",
    5: "[AVAILABLE_TOOLS]",
    6: "[/AVAILABLE_TOOLS]",
    7: "[TOOL_RESULTS]",
    8: "[/TOOL_RESULTS]",
    9: "[TOOL_CALLS]",
    10: "[IMG]",
    11: "<pad>",
    12: "[IMG_BREAK]",
    13: "[IMG_END]",
    14: "[PREFIX]",
    15: "[MIDDLE]",
    16: "[SUFFIX]",
    17: "[SYSTEM_PROMPT]",
    18: "[/SYSTEM_PROMPT]",
    19: "[TOOL_CONTENT]",
    24: "[AUDIO]",
    25: "[BEGIN_AUDIO]",
    32: "[ARGS]",
    33: "[CALL_ID]",
    34: "[TRANSCRIBE]",
}
SPECIAL = 40
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tekken() -> dict[str, Any]:
    """A ``tekken.json`` of 256 bytes after the special tokens, at the places where the published ones stand."""
    return {
        "config": {
            "pattern": PATTERN,
            "num_vocab_tokens": 256,
            "default_vocab_size": 256 + SPECIAL,
            "default_num_special_tokens": SPECIAL,
            "version": "v7",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(bytes([rank])).decode(), "token_str": None}
            for rank in range(256)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": NAMED.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
            for rank in range(SPECIAL)
        ],
        "audio": {
            "sampling_rate": 16000,
            "frame_rate": 12.5,
            "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
            "chunk_length_s": 30.0,
        },
    }


def write(folder: Path) -> None:
    """As on the hub: weights, ``preprocessor_config.json`` and ``tekken.json``; no template."""
    import torch
    import transformers

    config = transformers.VoxtralConfig(
        audio_token_id=24,
        text_config={
            **TEXT,
            "model_type": "llama",
            "vocab_size": 256 + SPECIAL,
            "num_hidden_layers": 2,
            "max_position_embeddings": 4096,
            "pad_token_id": 11,
            "eos_token_id": 2,
            "bos_token_id": 1,
        },
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 128,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_mel_bins": 128,
        },
    )
    model = randomized(transformers.VoxtralForConditionalGeneration(config))
    with torch.no_grad():  # what is heard must outweigh when, and the silence that fills the window
        model.model.audio_tower.conv1.weight.mul_(5)
        model.model.audio_tower.embed_positions.weight.mul_(0.2)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    (folder / "tekken.json").write_text(json.dumps(tekken()), encoding="utf-8")


def published(processor: Any, messages: Sequence[Message]) -> dict[str, Any]:
    """What mistral-common and transformers' processor make of a conversation together, token for token."""
    import torch

    ids, sounds = [1], []
    for message in messages:
        said: list[int] = []
        for part in message.parts:
            match part:
                case Text():
                    said += [SPECIAL + byte for byte in part.text.encode()]
                case _:
                    sounds.append(audio_of(part).samples)
                    said += [25, *[24] * (375 * -(-len(audio_of(part).samples) // 480_000))]
        ids += [3, *said, 4] if message.role == "user" else [*said, 2]
    found: dict[str, Any] = {"input_ids": torch.tensor([ids])}
    if sounds:
        wanted = {"sampling_rate": 16_000, "padding": True, "truncation": False, "return_tensors": "pt"}
        found["input_features"] = processor._retrieve_input_features(sounds, 3000, pad_to_multiple_of=480_000, **wanted)
    return found
