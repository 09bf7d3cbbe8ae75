"""What ``--kv-cache-type q8`` does to a real language model: SmolLM2-135M-Instruct on text of 1,024 tokens.

    python -m benchmarks.kv_cache_error [--model FOLDER] [--tokens 1024] [--texts 3]

The model computes in float32. Printed are the divergence KL(float32 cache || q8 cache) of the next token, its mean and
99th percentile over all positions, how often the likeliest token is the same, and both perplexities.
"""

from __future__ import annotations

import argparse
import pydoc
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from benchmarks import smollm2
from mistralrs_cli.engine.kv.layers import bytes_of
from mistralrs_cli.engine.kv.quantized import Scratch, use_quantized
from mistralrs_cli.loading.torchvision import ensure_importable

TOPICS = ("json", "threading", "argparse", "pathlib", "logging")  # text that every Python has: its own documentation


def logprobs(model: Any, ids: torch.Tensor, *, quantized: bool) -> tuple[torch.Tensor, float]:
    """Log probabilities float32 [tokens, vocabulary] after every token, and the cache's bytes of a token."""
    cache = DynamicCache(config=model.config)
    if quantized:
        use_quantized(cache, Scratch(), ())
    with torch.inference_mode():
        logits = model(ids, past_key_values=cache, use_cache=True).logits[0]
    return logits.float().log_softmax(-1), bytes_of(cache) / ids.shape[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, help="another model's folder")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--texts", type=int, default=3)
    given = parser.parse_args()
    ensure_importable()
    transformers.logging.disable_progress_bar()
    folder = given.model or smollm2.checkpoint()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    divergences, same, surprises, sizes = [], [], [], [0.0, 0.0]
    for topic in TOPICS[: given.texts]:
        text = pydoc.plain(pydoc.render_doc(topic))
        ids = tokenizer(text, return_tensors="pt").input_ids[:, : given.tokens]
        (exact, sizes[0]), (stored, sizes[1]) = (logprobs(model, ids, quantized=flag) for flag in (False, True))
        divergences.append((exact.exp() * (exact - stored)).sum(-1))
        same.append(exact.argmax(-1) == stored.argmax(-1))
        following = ids[0, 1:, None]
        surprises.append(torch.stack([-each[:-1].gather(-1, following)[:, 0] for each in (exact, stored)]))
    divergence, agreed, surprise = torch.cat(divergences), torch.cat(same).float(), torch.cat(surprises, -1)
    print(f"{folder.name}, float32, {len(divergence):,} positions, torch {torch.__version__}")
    print(f"bytes of a token      float32 {sizes[0]:,.0f}   bfloat16 {sizes[0] / 2:,.0f}   q8 {sizes[1]:,.0f}")
    print(f"KL                    mean {divergence.mean():.6f}   99th percentile {divergence.quantile(0.99):.6f}")
    print(f"same likeliest token  {agreed.mean():.2%}")
    perplexities = surprise.mean(-1).exp().tolist()
    print(f"perplexity            float32 cache {perplexities[0]:.3f}   q8 {perplexities[1]:.3f}")


if __name__ == "__main__":
    main()
