"""A forward pass that can be left before it ends: between two matrices of a model its request may be cancelled."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch

INTERVAL = 0.05  # seconds between two calls
STRIDE = 8  # modules between two marks in a GPU's queue
AHEAD = 2  # marks by which the host may be ahead of a GPU


class Cancelled(BaseException):
    """The request whose prompt is being run was closed. No error, so that nothing on the way takes it for one."""


class ForwardHooks:
    """Calls back while a model runs, every ``INTERVAL`` seconds or as often as one of its matrices is done.

    The hooks are there for a watched pass alone: decoding a token costs what it did.
    """

    def __init__(self, model: Any) -> None:
        self.modules = [module for module in model.modules() if has_weights(module)]
        self.queued = torch.device(model.device).type == "cuda"

    @contextmanager
    def watching(self, check_cancelled: Callable[[], None]) -> Iterator[None]:
        """Call ``check_cancelled`` from the thread that runs the model; what it raises leaves the forward pass."""
        due = time.perf_counter() + INTERVAL
        passed = 0
        marks: deque[torch.cuda.Event] = deque()

        def pause(module: Any, arguments: Any) -> None:
            nonlocal due, passed
            if self.queued:
                passed += 1
                if passed % STRIDE == 0:
                    bound_queue(marks)
            if time.perf_counter() >= due:
                due = math.inf  # it may run the model itself
                check_cancelled()
                due = time.perf_counter() + INTERVAL

        hooks = [module.register_forward_pre_hook(pause) for module in self.modules]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def has_weights(module: Any) -> bool:
    """Whether a module has matrices of its own: the others take no time that is worth a look."""
    return any(tensor.dim() > 1 for tensor in chain(module.parameters(recurse=False), module.buffers(recurse=False)))


def bound_queue(marks: deque[torch.cuda.Event]) -> None:
    """Wait for a GPU that is far behind: a whole prompt may lie in its queue before it has run the first layer."""
    mark = torch.cuda.Event()
    mark.record()
    marks.append(mark)
    if len(marks) > AHEAD:
        marks.popleft().synchronize()
