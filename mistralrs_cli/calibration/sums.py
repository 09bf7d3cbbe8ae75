"""The mean square of every input of a layer: how much an error in each column of its weight counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ENOUGH = 32
"""Tokens that an expert must have seen; with fewer its weights are quantized as without calibration."""
LEAST = 1e-3
"""Of the mean importance: what every column counts at least, since other inputs may use what these did not."""


@dataclass
class Sums:
    """Sums of squared inputs by weight: float32 [in], or [experts, in]; and tokens seen: int64 [], or [experts]."""

    squares: dict[str, Tensor] = field(default_factory=dict)
    tokens: dict[str, Tensor] = field(default_factory=dict)

    def expect(self, name: str, *shape: int) -> None:
        """Begin the sums of a weight, of whose inputs there are ``shape``, unless there are some."""
        import torch

        if name not in self.squares:
            self.squares[name] = torch.zeros(shape)
            self.tokens[name] = torch.zeros(shape[:-1], dtype=torch.int64)

    def add(self, name: str, inputs: Tensor, *expert: int) -> None:
        """Count ``inputs`` [..., in] of a weight, or of one expert of a stack; rows that are no numbers do not."""
        flat = inputs.detach().reshape(-1, inputs.shape[-1]).float()
        flat = flat[flat.isfinite().all(-1)]
        self.squares[name][expert] += flat.square().sum(0).cpu()
        self.tokens[name][expert] += len(flat)

    def importance(self) -> dict[str, Tensor]:
        """The importance of every weight's columns, 1 on average: float32 [in], or [experts, in].

        What has seen too few tokens gets 1 throughout, which changes nothing.
        """
        import torch

        found = {}
        for name, squares in self.squares.items():
            mean = squares.mean(-1, keepdim=True)
            seen = (self.tokens[name] >= ENOUGH).unsqueeze(-1) & (mean > 0)
            found[name] = torch.where(seen, (squares / mean.clamp_min(1e-30)).clamp_min(LEAST), torch.ones(()))
        return found

    def experts(self) -> tuple[int, int, int]:
        """How many experts there are, how many of them have seen too few tokens, and the fewest that one has seen."""
        stacks = [seen for name, seen in self.tokens.items() if seen.dim() == 1 and "down" not in name]
        if not stacks:
            return 0, 0, 0
        return (
            sum(len(seen) for seen in stacks),
            sum(int((seen < ENOUGH).sum()) for seen in stacks),
            min(int(seen.min()) for seen in stacks),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, for a file."""
        return {f"squares.{name}": it for name, it in self.squares.items()} | {
            f"tokens.{name}": it for name, it in self.tokens.items()
        }

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> Sums:
        """The sums that ``tensors`` wrote."""
        found = Sums()
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            (found.squares if part == "squares" else found.tokens)[name] = tensor
        return found
