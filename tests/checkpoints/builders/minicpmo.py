"""MiniCPM-o 2.6 in the layout of the hub, but small; a weight of its voice lies among the others, as there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistralrs_cli.messages import Message, Text
from tests.checkpoints.media import audio_of, image_of
from tests.checkpoints.tokens import template, tokenizer

from . import randomized

SPECIAL = ["<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<unk>"]
SPECIAL += ["<|audio_start|>", "<|audio|>", "<|audio_end|>"]
SPECIAL += ["<|spk_bos|>", "<|spk|>", "<|spk_eos|>", "<|tts_bos|>", "<|tts_eos|>"]
SPOKEN = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
)


def write(folder: Path) -> None:
    """Write the checkpoint file by file, as it is published."""
    import torch
    from safetensors.torch import save_file

    from mistralrs_cli.families.ports.minicpmo import MiniCPMOConfig, MiniCPMOForConditionalGeneration

    tokens = tokenizer(SPECIAL)
    tokens.chat_template = strings_only()
    tokens.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {
        "auto_map": {"AutoTokenizer": ["tokenization_minicpmo_fast.MiniCPMOTokenizerFast", None]},
        "tokenizer_class": "MiniCPMOTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    config = {
        "architectures": ["MiniCPMO"],
        "attention_dropout": 0.0,
        "audio_chunk_length": 1.0,
        "audio_config": {
            "model_type": "whisper",
            "d_model": 64,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 256,
            "encoder_layers": 2,
            "num_hidden_layers": 2,
            "num_mel_bins": 80,
            "max_source_positions": 1500,
        },
        "audio_pool_step": 2,
        "auto_map": {"AutoConfig": "configuration_minicpm.MiniCPMOConfig", "AutoModel": "modeling_minicpmo.MiniCPMO"},
        "batch_vision_input": True,
        "bos_token_id": 2,
        "drop_vision_last_layer": False,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "hidden_size": 64,
        "init_audio": True,
        "init_tts": True,
        "init_vision": True,
        "intermediate_size": 128,
        "max_position_embeddings": 4096,
        "model_type": "minicpmo",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "pad_token_id": 0,
        "query_num": 4,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "slice_config": {"max_slice_nums": 4, "model_type": "minicpmv"},
        "slice_mode": True,
        "tie_word_embeddings": False,
        "tts_config": {"model_type": "conditional_chattts"},
        "use_image_id": True,
        "version": "2.6",
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 48,
            "image_size": 98,
            "intermediate_size": 96,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "patch_size": 14,
        },
        "vocab_size": len(tokens),
    }
    model = randomized(MiniCPMOForConditionalGeneration(MiniCPMOConfig(**json.loads(json.dumps(config)))))
    weights = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(weights | {"tts.emb_text.weight": torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"})
    for name, content in {
        "config.json": config,
        "preprocessor_config.json": {
            "auto_map": {"AutoProcessor": "processing_minicpmo.MiniCPMOProcessor"},
            "feature_extractor_type": "MiniCPMVImageProcessor",
            "image_feature_size": 4,
            "image_processor_type": "MiniCPMVImageProcessor",
            "max_slice_nums": 4,
            "norm_mean": [0.5, 0.5, 0.5],
            "norm_std": [0.5, 0.5, 0.5],
            "patch_size": 14,
            "processor_class": "MiniCPMOProcessor",
            "scale_resolution": 56,
            "slice_mode": True,
            "use_image_id": True,
            "version": 2.6,
        },
        "generation_config.json": {"bos_token_id": 2, "eos_token_id": [1], "pad_token_id": 0},
    }.items():
        (folder / name).write_text(json.dumps(content))


def strings_only() -> str:
    """ChatML for a text model."""
    start = template().index("{% if message.content is string %}")
    end = template().index("<|im_end|>")
    return template()[:start] + "{{ '' + message.content }}" + template()[end:]


def published(processor: Any, messages: Sequence[Message]) -> dict[str, Any]:
    """The published way: marks in strings, a line for each part, each mark replaced by the places of its medium.

    A sound has its places second by second, and a conversation with one has a template of its own.
    """
    import torch

    pictures, sounds, turns = [], [], []
    for message in messages:
        said = []
        for part in message.parts:
            if isinstance(part, Text):
                said.append(part.text)
            elif part.kind == "image":
                pictures.append(image_of(part).image)
                said.append("(<image>./</image>)")
            else:
                sounds.append(audio_of(part).samples)
                said.append("(<audio>./</audio>)")
        turns.append({"role": message.role, "content": "\n".join(said)})
    seen = dict(processor.image_processor.preprocess(pictures)) if pictures else {}
    text = processor.tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True, chat_template=SPOKEN if sounds else None
    )
    for number, grid in enumerate(seen.pop("grids", ())):
        shown = f"<image_id>{number}</image_id><image>{'<unk>' * 4}</image>"
        if grid is not None:
            columns, rows = grid
            shown += "\n".join("".join(f"<slice>{'<unk>' * 4}</slice>" for _ in range(columns)) for _ in range(rows))
        text = text.replace("(<image>./</image>)", shown, 1)
    for sound in sounds:
        frames = (-(-len(sound) // 160) - 1) // 2 + 1
        count = (frames - 2) // 2 + 1
        seconds = [min(25, count - start) for start in range(0, count, 25)]
        places = "".join(f"<|audio_start|>{'<|audio|>' * second}<|audio_end|>" for second in seconds)
        text = text.replace("(<audio>./</audio>)", places, 1)
    return {"input_ids": torch.tensor([processor.tokenizer(text).input_ids]), **seen}
