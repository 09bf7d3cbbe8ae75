"""Memory of models: whether another one fits beside those that are loaded, and giving it back to the system."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ..options import ModelOptions

if TYPE_CHECKING:
    from ..loading import Checkpoint
    from ..start import Models


def is_crowded(models: Models, checkpoint: Checkpoint, options: ModelOptions) -> bool:
    """Whether a model does not fit as it should into the memory that is free: not at all, or not all of it on the GPU.

    False where that is not known, since its weights are still on the hub.
    """
    plan = models.plan(checkpoint, options)
    if plan is None:
        return False
    chosen = options.device_layers is not None or options.topology is not None
    return plan.shortage > 0 or (plan.placement.offloaded and not chosen)


def give_back(closed: Callable[[], object | None]) -> None:
    """Have the system get the memory of what was closed: the C library and PyTorch keep it for later otherwise.

    ``closed`` is a weak reference to it: the garbage collector, which halts all threads, is only asked where something
    refers to it still, such as the traceback of an error.
    """
    if closed() is not None:
        gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if (trim := malloc_trim()) is not None:
        trim(0)


@cache
def malloc_trim() -> Any:
    """The function of the GNU C library that returns free memory to the system; ``None`` with another library."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None)
