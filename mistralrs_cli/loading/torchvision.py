"""Make a torchvision whose compiled operators do not fit the installed torch usable.

The registry's torchvision wheel is built for CUDA. Next to a CPU build of torch its operators cannot be loaded, and
importing it fails, and with it every processor of transformers. Nothing of what processors use is compiled: declaring
the two operator schemas that the import looks for is enough. Decoding images stays with Pillow.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

_declared: Any = None


def ensure_importable() -> None:
    """Declare torchvision's operators where they are missing. Call before transformers is imported."""
    global _declared
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declared = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401
