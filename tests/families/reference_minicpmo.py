"""The eye and the ear of MiniCPM-o 2.6 once more, in plain torch, from its published description.

Source: the published files of openbmb/MiniCPM-o-2_6, NaViT (arXiv 2307.06304), Whisper (2212.04356). Weights go by
their published names; nothing of the package is used.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.families.reference_phi4mm import Weights, attention, heads, linear, norm, rms


def slice_states(weights: Weights, settings: dict[str, Any], patches: Tensor, rows: int, columns: int) -> Tensor:
    """One slice, its patches side by side [3, patch, patch · patches], through SigLIP: [patches, width]."""
    edge, side = settings["patch_size"], settings["image_size"] // settings["patch_size"]
    kernel = weights["vpm.embeddings.patch_embedding.weight"]
    x = F.conv2d(patches[None], kernel, weights["vpm.embeddings.patch_embedding.bias"], stride=edge)[0, :, 0].T
    places = [i * side // rows * side + j * side // columns for i in range(rows) for j in range(columns)]
    x = x + weights["vpm.embeddings.position_embedding.weight"][places]
    count = settings["num_attention_heads"]
    for layer in range(settings["num_hidden_layers"]):
        name = f"vpm.encoder.layers.{layer}."
        h = norm(weights, name + "layer_norm1", x, 1e-6)
        q, k, v = (heads(linear(weights, f"{name}self_attn.{part}_proj", h), count) for part in "qkv")
        x = x + linear(weights, name + "self_attn.out_proj", attention(q, k, v, 0.0))
        h = linear(weights, name + "mlp.fc1", norm(weights, name + "layer_norm2", x, 1e-6))
        x = x + linear(weights, name + "mlp.fc2", F.gelu(h, approximate="tanh"))
    return norm(weights, "vpm.post_layernorm", x, 1e-6)


def resampled(weights: Weights, states: Tensor, rows: int, columns: int) -> Tensor:
    """The tokens of one slice: questions that attend to its patches, which know their column and row."""
    x = norm(weights, "resampler.ln_kv", linear(weights, "resampler.kv_proj", states), 1e-6)
    width = x.shape[-1]
    quarter = width // 4
    known = torch.zeros(rows, columns, width)
    for row in range(rows):
        for column in range(columns):
            for part, place in ((0, column), (2, row)):
                angles = [place / 10000 ** (index / quarter) for index in range(quarter)]
                known[row, column, part * quarter : (part + 1) * quarter] = torch.tensor(angles).sin()
                known[row, column, (part + 1) * quarter : (part + 2) * quarter] = torch.tensor(angles).cos()
    questions = norm(weights, "resampler.ln_q", weights["resampler.query"], 1e-6)
    given = (questions, x + known.flatten(0, 1).to(x), x)
    joined = weights["resampler.attn.in_proj_weight"].chunk(3)
    biases = weights["resampler.attn.in_proj_bias"].chunk(3)
    count = max(1, width // 128)
    q, k, v = (heads(F.linear(*one), count) for one in zip(given, joined, biases, strict=True))
    answers = linear(weights, "resampler.attn.out_proj", attention(q, k, v, 0.0))
    return norm(weights, "resampler.ln_post", answers, 1e-6) @ weights["resampler.proj"]


def audio_states(weights: Weights, settings: dict[str, Any], features: Tensor, seconds: float) -> Tensor:
    """One sound [mel bins, frames] through Whisper, which hears what came before and the ``seconds`` it is in."""
    x = features[None]
    for name, step in (("apm.conv1", 1), ("apm.conv2", 2)):
        x = F.gelu(F.conv1d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=step, padding=1))
    x = x[0].T
    x = x + weights["apm.embed_positions.weight"][: len(x)]
    chunk = torch.arange(len(x)) // int(50 * seconds)
    bias = torch.zeros(len(x), len(x)).masked_fill(chunk[None] > chunk[:, None], -math.inf)
    count = settings["encoder_attention_heads"]
    for layer in range(settings["encoder_layers"]):
        name = f"apm.layers.{layer}."
        h = norm(weights, name + "self_attn_layer_norm", x, 1e-5)
        q, k, v = (heads(linear(weights, f"{name}self_attn.{part}_proj", h), count) for part in "qkv")
        x = x + linear(weights, name + "self_attn.out_proj", attention(q, k, v, bias))
        h = F.gelu(linear(weights, name + "fc1", norm(weights, name + "final_layer_norm", x, 1e-5)))
        x = x + linear(weights, name + "fc2", h)
    return norm(weights, "apm.layer_norm", x, 1e-5)


def pooled(weights: Weights, states: Tensor, step: int) -> Tensor:
    """The tokens of a sound: the mean of every ``step`` frames, in the decoder's width."""
    h = linear(weights, "audio_projection_layer.linear1", states).relu()
    h = linear(weights, "audio_projection_layer.linear2", h)
    whole = len(h) // step * step
    windows: Tensor = h[:whole].unflatten(0, (-1, step))
    return windows.mean(1)


def logits(weights: Weights, config: dict[str, Any], embedded: Tensor) -> Tensor:
    """Next-token logits of Qwen2 [tokens, vocabulary]."""
    count, shared, eps = config["num_attention_heads"], config["num_key_value_heads"], config["rms_norm_eps"]
    size = config["hidden_size"] // count
    speeds = 1 / config["rope_theta"] ** (torch.arange(0, size, 2) / size)
    angles = torch.outer(torch.arange(len(embedded)), speeds).repeat(1, 2)
    future = torch.full((len(embedded), len(embedded)), -math.inf).triu(1)

    def turned(x: Tensor) -> Tensor:
        left, right = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-right, left], -1) * angles.sin()

    x = embedded
    for layer in range(config["num_hidden_layers"]):
        name = f"llm.model.layers.{layer}."
        h = rms(weights, name + "input_layernorm", x, eps)
        q, k, v = (linear(weights, f"{name}self_attn.{part}_proj", h) for part in "qkv")
        keys, values = (
            part.repeat_interleave(count // shared, 0) for part in (turned(heads(k, shared)), heads(v, shared))
        )
        x = x + linear(weights, name + "self_attn.o_proj", attention(turned(heads(q, count)), keys, values, future))
        h = rms(weights, name + "post_attention_layernorm", x, eps)
        gate = F.silu(linear(weights, name + "mlp.gate_proj", h))
        x = x + linear(weights, name + "mlp.down_proj", gate * linear(weights, name + "mlp.up_proj", h))
    return linear(weights, "llm.lm_head", rms(weights, "llm.model.norm", x, eps))
