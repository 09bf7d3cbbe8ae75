"""Tiny random checkpoints with each family's own config, processor and tokenizer classes.

Each file here is a checkpoint, named after its ``model_type`` and found by that name; a second one of the same type
adds a word (``gemma4_moe``). It holds ``build()``, which returns a model and its processor, or ``write(folder)`` where
the family is published in a form that ``save_pretrained`` does not write. Where ``published`` has the files of a real
checkpoint, both are given their form; ``finish(model)`` then fills what is zero until it is trained. ``OLDER_NAMES``
may say how the hub's older checkpoints name the weights: pairs of a regular expression over today's name and its
replacement, the first that matches counts. ``published(processor, messages)`` may say what a prompt's tensors are
where transformers' own processor does not make them.
"""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mistralrs_cli.loading.torchvision import ensure_importable

from ..published import dress

BUILDERS: tuple[str, ...] = tuple(sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py")))
"""Every checkpoint there is."""

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def randomized(model: Any, seed: int = 0) -> Any:
    """Weights large enough that a random model's answer depends on everything in its prompt."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                scale = 1.0 if "embed_tokens" in name else 1.5 * parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.eval()


def build(name: str, folder: Path) -> Path:
    """Write a tiny checkpoint the way its family is published."""
    ensure_importable()
    import torch

    torch.manual_seed(0)  # vectors, like the class token of CLIP, are as the model's own initialisation draws them
    builder = import_module(f"{__name__}.{name}")
    if hasattr(builder, "write"):
        builder.write(folder)
        dress(name, folder)
        return folder
    model, processor = builder.build()
    model.generation_config.eos_token_id = None if name == "llama" else 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if dress(name, folder):
        rebuild(type(model), folder, getattr(builder, "finish", lambda model: model), getattr(builder, "SEED", 0))
    return folder


def rebuild(kind: Any, folder: Path, finish: Callable[[Any], Any], seed: int) -> None:
    """Write the weights again, of the model that the published form of ``config.json`` describes."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.dtype = "float32"
    model = finish(randomized(kind(config), seed))
    with TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        shutil.copyfile(Path(scratch) / "model.safetensors", folder / "model.safetensors")
