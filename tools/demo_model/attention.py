"""Attention over many prompts at once, each a stem with branches that see the stem and themselves but not each other.

All tokens lie in one row, so that everything but attention works without padding: the media of a stem are computed
once for all the questions about them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from tools.demo_model.prompts import Prompt

NAME = "branching"


class Layout:
    """Where the tokens of prompts are in the row. Lengths: P prompts, S tokens a stem, N branches of L tokens."""

    current: "Layout"

    def __init__(self, prompts: list[Prompt]) -> None:
        stems = max(len(prompt.stem) for prompt in prompts)
        count = max(len(prompt.branches) for prompt in prompts)
        length = max(len(branch) for prompt in prompts for branch in prompt.branches)
        self.shape = len(prompts), stems, count, length
        self.stem = torch.zeros(len(prompts), stems, dtype=torch.long)
        self.branch = torch.zeros(len(prompts), count, length, dtype=torch.long)
        self.hidden = torch.ones(len(prompts), 1, 1, 1, stems, dtype=torch.bool)
        back, positions, at = [], [], 0
        for row, prompt in enumerate(prompts):
            size = len(prompt.stem)
            self.stem[row, :size] = torch.arange(at, at + size)
            self.hidden[row, ..., :size] = False
            back.append(torch.arange(row * stems, row * stems + size))
            positions.append(torch.arange(size))
            at += size
            for number, branch in enumerate(prompt.branches):
                self.branch[row, number, : len(branch)] = torch.arange(at, at + len(branch))
                start = len(prompts) * stems + (row * count + number) * length
                back.append(torch.arange(start, start + len(branch)))
                positions.append(torch.arange(size, size + len(branch)))
                at += len(branch)
        self.back, self.positions = torch.cat(back), torch.cat(positions)[None]
        self.stem, self.branch = self.stem.flatten(), self.branch.flatten()
        self.later_branch = _later(length)


def _later(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def hide(scores: Tensor, mask: Tensor) -> Tensor:
    """In place, and unseen by autograd: behind a softmax the gradient of what is hidden is zero anyway."""
    scores.detach().masked_fill_(mask, -1e4)
    return scores


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """``query`` (1, heads, tokens, width) over ``key`` and ``value`` (1, groups, tokens, width), as Layout says."""
    layout = Layout.current
    prompts, stems, count, length = layout.shape
    _, heads, tokens, width = query.shape
    groups = key.shape[1]
    each = heads // groups
    rows = torch.cat([query[0], key[0], value[0]]).transpose(0, 1).reshape(tokens, -1)
    sizes = [heads * width, groups * width, groups * width]

    own = rows[layout.stem].view(prompts, stems, -1).split(sizes, -1)
    q = own[0].view(prompts, stems, groups, each, width).permute(0, 2, 3, 1, 4)
    k, v = (part.view(prompts, stems, groups, 1, width).permute(0, 2, 3, 1, 4) for part in own[1:])
    # What fills up a stem comes after it, so that being causal hides it as well.
    seen = F.scaled_dot_product_attention(
        q.reshape(prompts, heads, stems, width),
        k.expand(-1, -1, each, -1, -1).reshape(prompts, heads, stems, width),
        v.expand(-1, -1, each, -1, -1).reshape(prompts, heads, stems, width),
        is_causal=True,
        scale=1.0,
    )
    first = seen.permute(0, 2, 1, 3).reshape(-1, heads * width)

    own = rows[layout.branch].view(prompts, count, length, -1).split(sizes, -1)
    asked = own[0].view(prompts, count, length, groups, each, width).permute(0, 3, 1, 4, 2, 5)
    asked = asked.reshape(prompts, groups, count, each * length, width)
    keys, values = (part.view(prompts, count, length, groups, width).permute(0, 3, 1, 2, 4) for part in own[1:])
    before = asked.flatten(2, 3) @ k[:, :, 0].transpose(2, 3)
    before = hide(before.view(prompts, groups, count, each * length, stems), layout.hidden)
    among = (asked @ keys.transpose(3, 4)).view(prompts, groups, count, each, length, length)
    among = hide(among, layout.later_branch).view(prompts, groups, count, each * length, length)
    weights = torch.cat([before, among], -1).softmax(-1)
    to_stem, to_own = weights.split([stems, length], -1)
    seen = (to_stem.reshape(prompts, groups, -1, stems) @ v[:, :, 0]).view_as(asked) + to_own @ values
    seen = seen.view(prompts, groups, count, each, length, width).permute(0, 2, 4, 1, 3, 5)
    second = seen.reshape(-1, heads * width)

    return torch.cat([first, second])[layout.back].view(1, tokens, heads, width), None


AttentionInterface.register(NAME, torch.compiler.disable(attend))
