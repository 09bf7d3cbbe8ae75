"""The largest logits of each row, without sorting the vocabulary: only blocks that can hold one are looked into."""

from __future__ import annotations

import torch

BLOCK = 128  # tokens whose maximum is taken first


def block_maxima(logits: torch.Tensor) -> torch.Tensor:
    """The largest of every ``BLOCK`` logits, [rows, blocks], from ``logits`` float32 [rows, vocabulary].

    The last block may be shorter. The maximum of a block with NaN is NaN.
    """
    whole = logits.shape[-1] // BLOCK * BLOCK
    maxima: torch.Tensor = logits[:, :whole].unflatten(-1, (-1, BLOCK)).amax(-1)
    if whole < logits.shape[-1]:
        maxima = torch.cat([maxima, logits[:, whole:].amax(-1, keepdim=True)], -1)
    return maxima


def argmax(logits: torch.Tensor, maxima: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and token of each row's largest logit, both [rows]; of equal ones the first token. NaN is the largest."""
    rows = torch.arange(len(logits), device=logits.device)
    values, tokens = block_contents(logits, rows, maxima.argmax(-1, keepdim=True))
    at = values.argmax(-1, keepdim=True)
    return values.gather(-1, at)[:, 0], tokens.gather(-1, at)[:, 0]


def topk(
    logits: torch.Tensor, maxima: torch.Tensor, rows: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and tokens of the ``count`` largest logits of some ``rows``, largest first, both [rows, count].

    The blocks with the ``count`` largest maxima hold them: no logit outside is larger than the smallest of those
    maxima. Equal values are in no particular order, and more of them than the last may exist.
    """
    if count * BLOCK * 2 >= logits.shape[-1]:
        values, tokens = logits[rows].topk(count)
        return values, tokens
    values, tokens = block_contents(logits, rows, maxima[rows].topk(count).indices)
    values, at = values.topk(count)
    return values, tokens.gather(-1, at)


def block_contents(logits: torch.Tensor, rows: torch.Tensor, blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and tokens of some ``blocks`` int64 [rows, blocks] of some ``rows``, both [rows, blocks · BLOCK].

    A shorter block is filled up with -inf, under the number of the last token.
    """
    tokens = (blocks[..., None] * BLOCK + torch.arange(BLOCK, device=blocks.device)).flatten(1)
    last = logits.shape[-1] - 1
    values = logits[rows[:, None], tokens.clamp(max=last)].masked_fill(tokens > last, -torch.inf)
    return values, tokens.clamp(max=last)
