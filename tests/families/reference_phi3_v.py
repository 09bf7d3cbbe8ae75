"""The eye of Phi-3.5 Vision once more, in plain torch, from its published description; nothing of the package is used.

Source: the published files of microsoft/Phi-3.5-vision-instruct and CLIP (arXiv 2103.00020). Weights go by their
published names. The decoder is Phi-4's but for its sizes (``reference_phi4mm``).
"""

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tests.families.reference_phi4mm import Weights, attention, heads, linear, norm

EYE = "model.vision_embed_tokens."


def tile_states(weights: Weights, settings: dict[str, Any], tile: Tensor) -> Tensor:
    """One tile [3, edge, edge] through CLIP, all layers but the last: [patches, width], without the class token."""
    tower = EYE + "img_processor.vision_model."
    patches = F.conv2d(tile[None], weights[tower + "embeddings.patch_embedding.weight"], stride=settings["patch_size"])
    first = weights[tower + "embeddings.class_embedding"][None]
    x = torch.cat([first, patches[0].flatten(1).T]) + weights[tower + "embeddings.position_embedding.weight"]
    x = norm(weights, tower + "pre_layrnorm", x, 1e-5)
    for layer in range(settings["num_hidden_layers"] - 1):
        name = f"{tower}encoder.layers.{layer}."
        h = norm(weights, name + "layer_norm1", x, 1e-5)
        q, k, v = (
            heads(linear(weights, f"{name}self_attn.{p}_proj", h), settings["num_attention_heads"]) for p in "qkv"
        )
        x = x + linear(weights, name + "self_attn.out_proj", attention(q, k, v, 0.0))
        h = linear(weights, name + "mlp.fc1", norm(weights, name + "layer_norm2", x, 1e-5))
        x = x + linear(weights, name + "mlp.fc2", h * torch.sigmoid(1.702 * h))
    return x[1:]


def picture(weights: Weights, settings: dict[str, Any], tiles: Tensor, size: tuple[int, int]) -> Tensor:
    """The tokens of one picture: the lines of its tiles, a separator, the lines of the shrunk picture (``tiles[0]``).

    A token is a square of two by two patches, row by row; every line ends with the same embedding.
    """
    rows, columns = size[0] // settings["image_size"], size[1] // settings["image_size"]
    newline, separator = weights[EYE + "sub_GN"].flatten(), weights[EYE + "glb_GN"].flatten()
    squares = []
    for tile in tiles[: 1 + rows * columns]:
        states = tile_states(weights, settings, tile)
        side = math.isqrt(len(states))
        grid = states.reshape(side, side, -1)
        squares.append(
            [
                [torch.cat([grid[y, x], grid[y, x + 1], grid[y + 1, x], grid[y + 1, x + 1]]) for x in range(0, side, 2)]
                for y in range(0, side, 2)
            ]
        )
    tokens: list[Tensor] = []
    for row in range(rows):
        for line in range(len(squares[0])):
            for column in range(columns):
                tokens += squares[1 + row * columns + column][line]
            tokens.append(newline)
    tokens.append(separator)
    for whole in squares[0]:
        tokens += [*whole, newline]
    projection = EYE + "img_projection."
    return linear(weights, projection + "2", F.gelu(linear(weights, projection + "0", torch.stack(tokens))))


def sheet(picture: Image.Image, most: int, edge: int) -> np.ndarray:
    """The picture on white, as large as ``most`` tiles allow: uint8 [height, width, 3]."""
    standing = picture.height > picture.width
    if standing:
        picture = picture.transpose(Image.Transpose.TRANSPOSE)
    ratio = picture.width / picture.height
    columns = max(n for n in range(1, most + 1) if n * math.ceil(n / ratio) <= most or n == 1)
    width, height = columns * edge, int(columns * edge / ratio)
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    missing = -height % edge
    above = missing // 2
    padded = np.pad(pixels, ((above, missing - above), (0, 0), (0, 0)), constant_values=255)
    return padded.transpose(1, 0, 2) if standing else padded
