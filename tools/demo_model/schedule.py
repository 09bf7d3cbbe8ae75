"""The optimiser, and a learning rate that follows the clock: train for so many seconds, on whatever machine."""

import math
import time
from collections.abc import Iterable

import torch
from torch import distributed, nn


class Schedule:
    """AdamW whose rate warms up over 60 steps, is flat for a share of the time, then falls to ``floor`` by a cosine."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rate: float,
        seconds: float,
        flat: float = 0.4,
        floor: float = 0.02,
        decay: float = 0.02,
    ) -> None:
        self.parameters = [weight for weight in parameters if weight.requires_grad]
        matrices = [weight for weight in self.parameters if weight.ndim > 1]
        vectors = [weight for weight in self.parameters if weight.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
        self.rate, self.seconds, self.flat, self.floor = rate, seconds, flat, floor
        self.started = time.monotonic()
        self.steps = 0
        self.elapsed = 0.0

    def running(self) -> bool:
        """Set the rate of the next step; False when the time is used up."""
        self.steps += 1
        done = self.elapsed / self.seconds
        falling = max(0.0, done - self.flat) / (1 - self.flat)
        fall = max(self.floor, 0.5 * (1 + math.cos(math.pi * falling)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, self.steps / 60) * fall
        return done < 1

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.elapsed = time.monotonic() - self.started
        if distributed.is_initialized():
            self.share()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()

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
