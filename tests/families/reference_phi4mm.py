"""Phi-4 Multimodal once more, in plain torch, from its published description; nothing of the package is used.

Source: the technical report (arXiv 2503.01743) and the published files of microsoft/Phi-4-multimodal-instruct. Weights
go by their published names, settings by their published configuration.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def norm(weights: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float) -> Tensor:
    """Heads first: [heads, tokens, size]; back to [tokens, heads · size]."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    return (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)


def heads(x: Tensor, count: int) -> Tensor:
    split: Tensor = x.unflatten(-1, (count, -1))
    return split.transpose(0, 1)


VISION = "model.embed_tokens_extend.image_embed."


def crop_states(weights: Weights, settings: dict[str, Any], pixels: Tensor, mask: Tensor) -> Tensor:
    """One crop [3, side, side] and which of its patches are picture [rows, columns]: SigLIP, all layers but the last.

    Positions are fractions of the picture's part of the crop, spread over the table of trained positions.
    """
    tower = VISION + "img_processor."
    patch, count = settings["patch_size"], settings["num_attention_heads"]
    side = settings["image_size"] // patch
    table = weights[tower + "embeddings.position_embedding.weight"].unflatten(0, (side, side))
    rows, columns = int(mask[:, 0].sum()), int(mask[0].sum())
    edges = torch.arange(1 / side, 1.0, 1 / side)

    def spread(valid: int) -> Tensor:
        return torch.bucketize((torch.arange(side) * torch.tensor(1.0 / valid)).clamp(max=1 - 1e-6), edges, right=True)

    positions = table[spread(rows)][:, spread(columns)].flatten(0, 1)
    positions = torch.where(mask.flatten()[:, None], positions, table[0, 0])
    embedding = tower + "embeddings.patch_embedding"
    x = F.conv2d(pixels[None], weights[f"{embedding}.weight"], weights[f"{embedding}.bias"], stride=patch)
    x = x[0].flatten(1).T + positions
    bias = torch.zeros(side * side).masked_fill(~mask.flatten(), -math.inf)
    for layer in range(settings["num_hidden_layers"] - 1):
        name = f"{tower}encoder.layers.{layer}."
        h = norm(weights, name + "layer_norm1", x, 1e-6)
        q, k, v = (heads(linear(weights, f"{name}self_attn.{part}_proj", h), count) for part in "qkv")
        x = x + linear(weights, name + "self_attn.out_proj", attention(q, k, v, bias))
        h = norm(weights, name + "layer_norm2", x, 1e-6)
        h = F.gelu(linear(weights, name + "mlp.fc1", h), approximate="tanh")
        x = x + linear(weights, name + "mlp.fc2", h)
    return x


def picture(weights: Weights, settings: dict[str, Any], crops: Tensor, masks: Tensor, size: Tensor) -> Tensor:
    """The tokens of one picture [tokens, hidden]: its crops row by row, a separator, the whole picture shrunk.

    ``crops`` [1 + crops, 3, side, side], the whole picture first; ``size`` its height and width in pixels.
    """
    tall, wide = (int(edge) // settings["crop_size"] for edge in size)
    pooled = []
    for crop, mask in list(zip(crops, masks, strict=True))[: 1 + tall * wide]:
        states = crop_states(weights, settings, crop, mask.bool())
        grid = states.unflatten(0, mask.shape).permute(2, 0, 1)
        pooled.append(F.avg_pool2d(grid, 2).permute(1, 2, 0))
    newline, separator = weights[VISION + "sub_GN"][0, 0], weights[VISION + "glb_GN"][0]

    def lines(grid: Tensor) -> Tensor:
        return torch.cat([grid, newline.expand(grid.shape[0], 1, -1)], 1).flatten(0, 1)

    rows = [torch.cat(pooled[1 + row * wide : 1 + (row + 1) * wide], 1) for row in range(tall)]
    kept = [
        torch.cat([mask[::2, ::2] for mask in masks[1 + row * wide : 1 + (row + 1) * wide]], 1) for row in range(tall)
    ]
    whole, valid = torch.cat(rows), torch.cat(kept)
    whole = whole[: int(valid[:, 0].sum()), : int(valid[0].sum())]
    tokens = torch.cat([lines(whole), separator, lines(pooled[0])])
    return linear(weights, VISION + "img_projection.2", F.gelu(linear(weights, VISION + "img_projection.0", tokens)))


AUDIO = "model.embed_tokens_extend.audio_embed."


def swish_gate(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, -1)
    return value * F.silu(gate)


def sound(weights: Weights, settings: dict[str, Any], features: Tensor, branch: str) -> Tensor:
    """The tokens of one sound [frames / 8, hidden] by its spectrogram [frames, mel bins]: a conformer encoder.

    ``branch`` is the projection: ``speech`` for sounds alone, ``vision`` beside a picture.
    """
    tower = AUDIO + "encoder."
    x = features - weights[tower + "encoder_embedding.global_mean"]
    x = (x * weights[tower + "encoder_embedding.global_invstd"])[None, None]
    conv, index = tower + "embed.conv.", 0
    for step in range(int(math.log2(settings["time_reduction"]))):
        w, b = weights[f"{conv}{index}.weight"], weights[f"{conv}{index}.bias"]
        x = F.conv2d(x, w, b, stride=2, padding=1, groups=1 if step == 0 else w.shape[0])
        if step:
            index += 1
            x = F.conv2d(x, weights[f"{conv}{index}.weight"], weights[f"{conv}{index}.bias"])
        x, index = x.relu(), index + 2
    x = linear(weights, tower + "embed.out", x[0].transpose(0, 1).flatten(1))
    frames = torch.arange(len(x))
    reach = settings["relative_attention_bias_args"]["t5_bias_max_distance"]
    distance = (frames[None] - frames[:, None]).clamp(-reach, reach - 1) + reach
    bias = weights[tower + "relative_attention_bias_layer.bias_values.weight"][distance].permute(2, 0, 1)
    for block in range(settings["num_blocks"]):
        name = f"{tower}encoders.{block}."

        def feed(half: str, x: Tensor, name: str = name) -> Tensor:
            h = norm(weights, f"{name}feed_forward_{half}.layer_norm", x, 1e-5)
            h = swish_gate(linear(weights, f"{name}feed_forward_{half}.net.0.linear", h))
            return linear(weights, f"{name}feed_forward_{half}.net.2", h)

        x = x + 0.5 * feed("in", x)
        h = norm(weights, name + "layer_norm_att", x, 1e-5)
        q, k, v = (heads(linear(weights, f"{name}self_attn.linear_{p}", h), settings["attention_heads"]) for p in "qkv")
        x = x + linear(weights, name + "self_attn.linear_out", attention(q, k, v, bias))
        x = x + convolution(weights, name + "conv.", x, settings["kernel_size"])
        x = x + 0.5 * feed("out", x)
        x = norm(weights, name + "layer_norm", x, 1e-5)
    projection = f"{AUDIO}audio_projection.{branch}."
    return linear(weights, projection + "2", F.gelu(linear(weights, projection + "0", x)))


def convolution(weights: Weights, name: str, x: Tensor, width: int) -> Tensor:
    """A causal depthwise convolution over time between a gate and a pointwise layer."""
    x = norm(weights, name + "layer_norm", x, 1e-5).T[None]
    x = F.conv1d(x, weights[name + "glu.ext_pw_conv_1d.weight"], weights[name + "glu.ext_pw_conv_1d.bias"])
    value, gate = x.chunk(2, 1)
    x = (value + weights[name + "glu.b1"]) * F.silu(gate + weights[name + "glu.b2"])
    w, b = weights[name + "dw_sep_conv_1d.dw_conv.weight"], weights[name + "dw_sep_conv_1d.dw_conv.bias"]
    x = F.conv1d(F.pad(x, (width - 1, 0)), w, b, groups=w.shape[0])
    x = F.conv1d(x, weights[name + "dw_sep_conv_1d.pw_conv.weight"], weights[name + "dw_sep_conv_1d.pw_conv.bias"])
    x = F.conv1d(F.silu(x), weights[name + "ext_pw_conv_1d.weight"], weights[name + "ext_pw_conv_1d.bias"])
    return x[0].T


def rms(weights: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weights[f"{name}.weight"]


def rotary(config: dict[str, Any], tokens: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [tokens, rotated size] of LongRoPE: one set of factors for short sequences, one for long."""
    size = int(config["hidden_size"] // config["num_attention_heads"] * config.get("partial_rotary_factor", 1.0))
    first, most = config["original_max_position_embeddings"], config["max_position_embeddings"]
    scaling = config["rope_scaling"]
    factors = torch.tensor(scaling["long_factor"] if tokens > first else scaling["short_factor"])
    speeds = 1 / (factors * config["rope_theta"] ** (torch.arange(0, size, 2) / size))
    angles = torch.outer(torch.arange(tokens), speeds).repeat(1, 2)
    louder = math.sqrt(1 + math.log(most / first) / math.log(first))
    return angles.cos() * louder, angles.sin() * louder


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first part of each head; the rest stays."""
    turning, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    left, right = turning.chunk(2, -1)
    return torch.cat([turning * cos + torch.cat([-right, left], -1) * sin, rest], -1)


def merged(weights: Weights, config: dict[str, Any], name: str, adapter: str | None) -> Tensor:
    """A decoder layer's matrix with an adapter added to it."""
    if f"{name}.weight" in weights:
        return weights[f"{name}.weight"]
    base = weights[f"{name}.base_layer.weight"]
    if adapter is None:
        return base
    settings = config[f"{adapter}_lora"]
    product = weights[f"{name}.lora_B.{adapter}.weight"] @ weights[f"{name}.lora_A.{adapter}.weight"]
    scale: float = settings["lora_alpha"] / settings["r"]
    return base + scale * product


def logits(weights: Weights, config: dict[str, Any], embedded: Tensor, adapter: str | None = None) -> Tensor:
    """Next-token logits [tokens, vocabulary] of a sequence [tokens, hidden]."""
    count, shared, eps = config["num_attention_heads"], config["num_key_value_heads"], config["rms_norm_eps"]
    size = config["hidden_size"] // count
    cos, sin = rotary(config, len(embedded))
    future = torch.full((len(embedded), len(embedded)), -math.inf).triu(1)
    x = embedded
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        h = rms(weights, name + "input_layernorm", x, eps)
        joined = h @ merged(weights, config, name + "self_attn.qkv_proj", adapter).T
        q, k, v = joined.split([count * size, shared * size, shared * size], -1)
        q, k = turned(heads(q, count), cos, sin), turned(heads(k, shared), cos, sin)
        k, v = (part.repeat_interleave(count // shared, 0) for part in (k, heads(v, shared)))
        x = x + attention(q, k, v, future) @ merged(weights, config, name + "self_attn.o_proj", adapter).T
        h = rms(weights, name + "post_attention_layernorm", x, eps)
        gate, up = (h @ merged(weights, config, name + "mlp.gate_up_proj", adapter).T).chunk(2, -1)
        x = x + (up * F.silu(gate)) @ merged(weights, config, name + "mlp.down_proj", adapter).T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return rms(weights, "model.norm", x, eps) @ head.T
