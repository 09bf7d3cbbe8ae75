"""Canary: log-mel frames in, a prompt that names the languages, text out."""

import json
from pathlib import Path
from typing import Any

from tests.checkpoints.builders import randomized
from tests.checkpoints.speech.parakeet import ENCODER, PROCESSOR, PUBLISHED
from tests.checkpoints.speech.pieces import pieces

TASK = ("emo:undefined", "en", "de", "fr", "pnc", "nopnc", "noitn", "notimestamp", "nodiarize")
TEMPLATE = """\
{% for part in messages[0]['content'] if part.type == 'text' %}\
<|startofcontext|><|startoftranscript|><|emo:undefined|><|{{ part.source_language }}|><|{{ part.target_language }}|>\
<|{{ 'pnc' if part.punctuation else 'nopnc' }}|><|noitn|><|notimestamp|><|nodiarize|>{% endfor %}"""
"""The prompt of Canary 1B v2, as NeMo has it (Canary2 of nemo.collections.common.prompts)."""


def write(folder: Path) -> None:
    """As transformers' converter writes them; no published copy of its files was found."""
    import torch
    import transformers

    named = [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *TASK, "startofcontext")]
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces("<unk>", "<pad>", *named),
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<|startoftranscript|>",
        eos_token="<|endoftext|>",
    )
    ids: dict[str, Any] = {
        "pad_token_id": 1,
        "eos_token_id": 2,
        "bos_token_id": 3,
        "decoder_start_token_id": tokenizer.convert_tokens_to_ids("<|startofcontext|>"),
    }
    decoder = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 128,
    }
    decoder |= {name: ids[name] for name in ("pad_token_id", "eos_token_id", "bos_token_id")}
    config = transformers.CanaryConfig(
        encoder_config={**PUBLISHED["encoder_config"], **ENCODER},
        decoder_config=decoder,
        vocab_size=len(tokenizer),
        tie_word_embeddings=False,  # a random tied head repeats what it is given
        **ids,
    )
    model = randomized(transformers.CanaryForConditionalGeneration(config))
    with torch.no_grad():  # what is heard must outweigh what was written
        for layer in model.model.decoder.layers:
            layer.encoder_attn.o_proj.weight.mul_(4)
    model.generation_config = transformers.GenerationConfig(**ids)
    model.save_pretrained(folder)
    described: Any = PROCESSOR["feature_extractor"]
    extractor = transformers.ParakeetFeatureExtractor(**described)
    transformers.CanaryProcessor(extractor, tokenizer, chat_template=TEMPLATE).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "canary"
