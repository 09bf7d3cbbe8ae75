"""Import torchvision although its compiled operators may not fit the installed torch; done before transformers."""

import sys
from typing import Any

_kept: list[Any] = []


def ensure_torchvision() -> None:
    """Make ``import torchvision`` work when only its C++ part is broken (a CPU torch beside a CUDA torchvision).

    The processors use only its pure Python transforms; declaring the two missing operators is enough for those.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        _kept.append(library)
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401


ensure_torchvision()
