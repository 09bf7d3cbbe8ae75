"""A fixed number of tokens for an image of any size: learned questions asked of its patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

HEAD = 128


def grid_positions(width: int, rows: int, columns: int) -> torch.Tensor:
    """Sines and cosines of each patch's column, then of its row: float32 [rows · columns, width] (arXiv 2010.11929)."""
    speeds = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))

    def waves(places: torch.Tensor) -> torch.Tensor:
        angles = torch.outer(places.double(), speeds)
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    return torch.cat([waves(column), waves(row)], dim=1).float()


class Resampler(nn.Module):
    """``queries`` questions of the decoder's width, asked of patches of the tower's. Published names."""

    def __init__(self, queries: int, width: int, tower_width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.kv_proj = nn.Linear(tower_width, width, bias=False) if tower_width != width else nn.Identity()
        self.attn = nn.MultiheadAttention(width, max(1, width // HEAD), batch_first=True)
        self.ln_q = nn.LayerNorm(width, eps=1e-6)
        self.ln_kv = nn.LayerNorm(width, eps=1e-6)
        self.ln_post = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Parameter(torch.zeros(width, width))

    def forward(self, patches: torch.Tensor, sizes: Sequence[Sequence[int]]) -> torch.Tensor:
        """``patches`` [patches of all slices, tower width]; ``sizes`` rows and columns of each slice. [slices, queries,
        width]."""
        values = self.ln_kv(self.kv_proj(patches))
        query = self.ln_q(self.query)[None]
        answers = []
        for value, (rows, columns) in zip(values.split([r * c for r, c in sizes]), sizes, strict=True):
            key = value + grid_positions(value.shape[-1], rows, columns).to(value)
            answers.append(self.attn(query, key[None], value[None], need_weights=False)[0])
        tokens: torch.Tensor = self.ln_post(torch.cat(answers)) @ self.proj
        return tokens
