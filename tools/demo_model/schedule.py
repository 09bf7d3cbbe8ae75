"""The optimiser, and a learning rate that follows the clock: train for so many seconds, on whatever machine."""

import math
import os
import time
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

WARM_UP = 20  # steps


def join_processes() -> bool:
    """Share every step with the processes of ``torch.distributed.run``, if any; whether this one reports and saves."""
    if "RANK" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("gloo")
    return not distributed.is_initialized() or distributed.get_rank() == 0


@torch.no_grad()
def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrices with orthogonal rows or columns, roughly, of a stack (count, rows, columns).

    The quintic Newton-Schulz iteration of Jordan et al., Muon (2024).
    """
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.transpose(1, 2) if tall else matrices
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if torch.cpu._is_avx512_bf16_supported():
        wide = wide.bfloat16()
    for _ in range(rounds):
        square = wide @ wide.transpose(1, 2)
        wide = 3.4445 * wide + torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315) @ wide
    result: Tensor = (wide.transpose(1, 2) if tall else wide).float()
    return result


class Muon:
    """Momentum whose steps are made orthogonal, as large as AdamW's at the same rate (Liu et al., 2025)."""

    def __init__(self, weights: list[nn.Parameter], decay: float, momentum: float = 0.95) -> None:
        self.decay, self.momentum = decay, momentum
        shapes = sorted({tuple(weight.shape) for weight in weights})
        self.stacks = [[weight for weight in weights if tuple(weight.shape) == shape] for shape in shapes]
        self.averages = [torch.zeros(len(stack), *stack[0].shape) for stack in self.stacks]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for stack, average in zip(self.stacks, self.averages, strict=True):
            gradients = torch.stack([torch.zeros_like(w) if w.grad is None else w.grad for w in stack])
            average.lerp_(gradients, 1 - self.momentum)
            steps = orthogonal(gradients.lerp(average, self.momentum)) * (0.2 * max(average.shape[1:]) ** 0.5)
            for weight, step in zip(stack, steps, strict=True):
                weight.mul_(1 - rate * self.decay).sub_(step, alpha=rate)


class Schedule:
    """A rate that warms up, is flat for a share of the time, then falls to ``floor`` by a cosine.

    ``hidden`` matrices are trained by Muon, everything else by AdamW.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rate: float,
        seconds: float,
        flat: float = 0.4,
        floor: float = 0.02,
        decay: float = 0.02,
        hidden: Iterable[nn.Parameter] = (),
    ) -> None:
        stacked = list(hidden)
        self.muon = Muon(stacked, decay)
        own = {id(weight) for weight in stacked}
        self.parameters = [weight for weight in parameters if weight.requires_grad]
        matrices = [weight for weight in self.parameters if weight.ndim > 1 and id(weight) not in own]
        vectors = [weight for weight in self.parameters if weight.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
        self.rate, self.seconds, self.flat, self.floor = rate, seconds, flat, floor
        self.started = time.monotonic()
        self.steps = 0
        self.elapsed = 0.0
        self.now = 0.0

    def running(self) -> bool:
        """Set the rate of the next step; False when the time is used up."""
        self.steps += 1
        done = self.elapsed / self.seconds
        falling = max(0.0, done - self.flat) / (1 - self.flat)
        fall = max(self.floor, 0.5 * (1 + math.cos(math.pi * falling)))
        self.now = self.rate * min(1.0, self.steps / WARM_UP) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = self.now
        return done < 1

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.elapsed = time.monotonic() - self.started
        if distributed.is_initialized():
            self.share()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.muon.step(self.now)

    def share(self) -> None:
        """Average gradients and the time over all processes, so that they take the same step and stop together."""
        for weight in self.parameters:
            if weight.grad is None:  # a batch without sounds, say
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in self.parameters if weight.grad is not None]
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), torch.tensor([self.elapsed])])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        *shares, elapsed = flat.split([*(gradient.numel() for gradient in gradients), 1])
        for gradient, share in zip(gradients, shares, strict=True):
            gradient.copy_(share.view_as(gradient))
        self.elapsed = elapsed.item()
