"""The optimiser, and a learning rate that follows the clock: train for so many seconds, on whatever machine."""

import math
import time
from collections.abc import Iterable

import torch
from torch import nn


class Schedule:
    """AdamW whose rate warms up over 60 steps, stays flat, then falls to ``floor`` by a cosine over the last 60 %."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, seconds: float, floor: float = 0.02, decay: float = 0.02
    ) -> None:
        self.parameters = [weight for weight in parameters if weight.requires_grad]
        matrices = [weight for weight in self.parameters if weight.ndim > 1]
        vectors = [weight for weight in self.parameters if weight.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
        self.rate, self.seconds, self.floor = rate, seconds, floor
        self.started = time.monotonic()
        self.steps = 0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def running(self) -> bool:
        """Set the rate of the next step; False when the time is used up."""
        self.steps += 1
        done = self.elapsed / self.seconds
        fall = 1.0 if done < 0.4 else max(self.floor, 0.5 * (1 + math.cos(math.pi * (done - 0.4) / 0.6)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, self.steps / 60) * fall
        return done < 1

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
