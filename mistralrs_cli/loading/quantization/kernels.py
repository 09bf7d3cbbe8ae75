"""Which of several ways to multiply a quantized weight is fastest here: measured where it runs, and kept.

A kernel made for one row of inputs is slow for the rows of a prompt on some CPUs, where unpacking the weight first and
multiplying in full is several times faster; on others it is the other way round. So nothing is chosen by the name of a
CPU. The first product of a shape with many rows runs every way twice; the choice is kept in the cache folder for this
CPU and version of PyTorch, and by number of threads. Where ggml is installed, the first load of a shape measures
whether its weights stay as ggml reads them. ``MISTRALRS_KERNELS`` pins it: ``packed``, ``unpacked`` or ``ggml``.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from ...folders import cache_folder
from .kernel_pin import Way, pin

BUCKETS = (32, 64, 128, 256, 512)
"""Rows of inputs from which on a choice holds; below the first the kernel that reads fewer bytes is taken."""
MARGIN = 0.9  # of the kernel's time: what another way must stay below, so that noise does not choose


class KernelChoices:
    """The ways chosen so far, by weight type, shape, dtype and rows, in a JSON file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._chosen: dict[str, Way] = read(file)

    def __len__(self) -> int:
        return len(self._chosen)

    def multiply(self, kind: str, inputs: Tensor, rows: int, ways: Mapping[Way, Callable[[], Tensor]]) -> Tensor:
        """The product of ``inputs`` [tokens, columns] with a weight of ``rows`` by the fastest of ``ways``.

        The first of them reads the fewest bytes.
        """
        tokens, columns = inputs.shape
        first = next(iter(ways))
        if tokens < BUCKETS[0]:
            return ways[first]()
        if (pinned := pin()) is not None:
            return ways.get(pinned, ways[first])()
        bucket = max(edge for edge in BUCKETS if edge <= tokens)
        threads, dtype = torch.get_num_threads(), str(inputs.dtype).removeprefix("torch.")
        return ways[self.fastest(f"{kind} {rows}x{columns} {dtype} {bucket} rows {threads} threads", ways)]()

    def fastest(self, key: str, ways: Mapping[Way, Callable[[], object]], tries: int = 2) -> Way:
        """Which way is fastest, measured if it is not known. Another than the first must be clearly faster."""
        way = self._chosen.get(key)
        return self._measure(key, ways, tries) if way is None else way

    def _measure(self, key: str, ways: Mapping[Way, Callable[[], object]], tries: int) -> Way:
        spent = dict.fromkeys(ways, float("inf"))
        for _ in range(tries):
            for one, run in ways.items():
                spent[one] = min(spent[one], seconds(run))
        first = next(iter(ways))
        best = min(spent, key=lambda one: spent[one])
        way = best if spent[best] < MARGIN * spent[first] else first
        with self._lock:
            # another process may have kept choices since this one read them
            self._chosen = read(self.file) | self._chosen | {key: way}
            write(self.file, self._chosen)
        return way


def seconds(run: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


@cache
def choices() -> KernelChoices:
    """This machine's choices."""
    return KernelChoices(cache_folder() / "kernels" / f"{machine()}.json")


def machine() -> str:
    """A name for this CPU with this PyTorch, fit for a file."""
    found = f"{cpu()}-{torch.backends.cpu.get_cpu_capability()}-torch-{torch.__version__}"
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in found)


def cpu() -> str:
    """The CPU's model, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def read(file: Path) -> dict[str, Way]:
    """The choices in a file; none where it is not there or damaged: they are measured again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = get_args(Way)
    return {key: way for key, way in found.items() if way in known} if isinstance(found, dict) else {}


def write(file: Path, chosen: Mapping[str, Way]) -> None:
    """Keep the choices. Where the folder cannot be written they hold for this process alone."""
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(dict(sorted(chosen.items())), indent=1), encoding="utf-8")
        draft.replace(file)
    except OSError:
        return
