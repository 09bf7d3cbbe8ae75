"""Decode steps captured as CUDA graphs and replayed: one launch in place of thousands.

A step over fixed buffers (``engine/kv/static.py``) is captured once for each bucket of rows and capacity. What cannot
be captured, or gives other logits than the eager step, is run eagerly from then on. As PyTorch documents it:
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import first_line
from ..failures import exhausted
from ..kv.static import Buffers

LOG = logging.getLogger(__name__)
WARM_UP = 3  # eager steps on a side stream before: they set up libraries and their workspaces
COUPLED = ("dynamic", "longrope")  # positions whose frequencies are chosen on the CPU, from the longest row
TOLERANCE = 0.05  # of the largest logit: the same kernels in the same order


@dataclass(frozen=True, slots=True, eq=False)
class CapturedStep:
    """A graph, the tensors that it reads and the logits float32 [rows, vocabulary] that it writes."""

    inputs: Mapping[str, torch.Tensor]
    logits: torch.Tensor
    replay: Callable[[], None]

    def run(self, given: Mapping[str, Any]) -> torch.Tensor:
        """The step with other input ids and positions; masks and slots are where they were."""
        for name, tensor in self.inputs.items():
            tensor.copy_(given[name])
        self.replay()
        return self.logits.clone()


def record(run: Callable[[], torch.Tensor], pool: Any) -> tuple[torch.Tensor, Callable[[], None]]:
    """Capture ``run``: what it returns, which every replay computes again, and the replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):  # other threads may use CUDA meanwhile
        found = run()
    return found, graph.replay


class CapturedSteps:
    """The captured steps of a model. ``failure`` says why it has none."""

    def __init__(self, model: Any, record: Callable[..., Any] = record) -> None:
        self._model = model
        self._record = record
        self._pool: Any = None  # memory for what lies between, which all graphs share: they run one after the other
        ropes = {getattr(module, "rope_type", None) for module in model.modules()}
        coupled = ropes & set(COUPLED)
        self.failure: str | None = f"its positions are {coupled.pop()}" if coupled else None

    def logits(self, buffers: Buffers, adapter: Hashable, given: Mapping[str, Any]) -> torch.Tensor:
        """The logits of a step, float32 [rows, vocabulary]."""
        step = buffers.captured.get(adapter)
        if step is not None:
            found: torch.Tensor = step.run(given)
            return found
        eager = logits_of(self._model, given)
        if self.failure is None:
            try:
                buffers.captured[adapter] = self._capture(given, eager)
            except Exception as error:
                if exhausted(error):
                    return eager  # there may be room the next time
                self.failure = first_line(error)
                LOG.warning("Decode steps are not captured as CUDA graphs: %s", self.failure)
        return eager

    def _capture(self, given: Mapping[str, Any], eager: torch.Tensor) -> CapturedStep:
        fixed = {name: given[name].clone() for name in ("input_ids", "position_ids")}
        if self._pool is None and eager.is_cuda:
            self._pool = torch.cuda.graph_pool_handle()
        logits, replay = self._record(lambda: logits_of(self._model, {**given, **fixed}), self._pool)
        step = CapturedStep(fixed, logits, replay)
        if float((step.run(given) - eager).abs().max()) > TOLERANCE * float(eager.abs().max()):
            raise RuntimeError("a captured step gave other logits")
        return step


def logits_of(model: Any, given: Mapping[str, Any]) -> torch.Tensor:
    """The next tokens' logits by the model itself, float32 [rows, vocabulary]."""
    logits: torch.Tensor = model(**given).logits[:, -1].float()
    return logits
