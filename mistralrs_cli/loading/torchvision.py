"""Import torch, torchvision and transformers without what only compiling, training and distributing need.

The registry's torchvision wheel is built for CUDA. Next to a CPU build of torch its operators cannot be loaded, and
importing it fails, and with it every processor of transformers. Nothing of what processors use is compiled: declaring
the two operator schemas that the import looks for is enough. Decoding images stays with Pillow.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from .compat import check_without_sympy, defer_compiler, defer_parts_of_torchvision, read_models_once

_declared: Any = None


def ensure_importable() -> None:
    """Import torchvision, with its operators declared where they are missing. Call before transformers is imported."""
    if "torchvision" in sys.modules:
        return
    read_models_once()
    defer_compiler()
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.submodule_search_locations is None:
        return
    folders = list(spec.submodule_search_locations)
    if not load_operators(folders):
        declare_operators()
    defer_parts_of_torchvision(folders)
    import torchvision  # noqa: F401


def load_operators(folders: list[str]) -> bool:
    """Load torchvision's compiled operators; whether they fit the installed torch."""
    import torch

    libraries = [Path(folder, f"_C{suffix}") for folder in folders for suffix in (".so", *EXTENSION_SUFFIXES)]
    for library in filter(Path.is_file, libraries):
        try:
            torch.ops.load_library(library)
        except (OSError, RuntimeError):
            return False
    return hasattr(torch.ops.torchvision, "nms")


def declare_operators() -> None:
    """Declare the operators that importing torchvision looks for."""
    global _declared
    import torch

    _declared = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        _declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def leave_distributed_out() -> None:
    """Let transformers take torch for a build without ``torch.distributed``, as there are; for a process of our own.

    What it would import is for models spread over processes. It keeps the answer; torch itself stays as it is.
    """
    with uncollected():
        import torch.distributed

        ensure_importable()
        check_without_sympy()
        there = torch.distributed.is_available
        torch.distributed.is_available = lambda: False
        try:
            from transformers.utils.import_utils import is_torch_distributed_available

            is_torch_distributed_available()
        finally:
            torch.distributed.is_available = there


@contextmanager
def uncollected() -> Iterator[None]:
    """Have Python look for no garbage among the objects of the first import: not meanwhile, and not later."""
    if "transformers" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
