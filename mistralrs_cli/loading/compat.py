"""Private names of transformers, accelerate and torch by which models are loaded.

``tests/drift/test_private_names.py`` checks each of them.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from .deferred import defer

IMPORT_UTILS = "transformers.utils.import_utils"


def model_class(automodel: Any, config: Any) -> Any:
    """The class of model that an automodel takes for a configuration."""
    return automodel._model_mapping[type(config)]


def set_attention(config: Any, implementation: str | None) -> None:
    """Choose the attention of a configuration and of its declared parts; ``None`` leaves it to each model class."""
    config._attn_implementation = implementation


def replace_vocabulary(tokenizer: Any, vocabulary: Any) -> None:
    """Let a fast tokenizer of transformers encode with another ``tokenizers.Tokenizer``."""
    tokenizer._tokenizer = vocabulary


def is_offloaded(module: Any) -> bool:
    """Whether accelerate brings a module's weights to the device that computes for each call."""
    return hasattr(module, "_hf_hook")


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; oneDNN also claims those that only emulate it with AVX-512."""
    import torch

    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def defer_compiler() -> None:
    """Keep torch's compiler out until something of it is asked for; its decorators do not count.

    Torchvision and transformers decorate functions for it when they are imported, which alone imports 500 modules.
    """
    import torch

    defer(
        torch.__path__,
        "torch._dynamo",
        marks=("allow_in_graph", "assume_constant_result"),
        wrappers=("disable",),
        alone=("torch._dynamo._trace_wrapped_higher_order_op",),
    )


def check_without_sympy() -> None:
    """Have torch pass by what it checks if it is plainly true; else it asks a module that imports all of sympy."""
    import torch

    check = torch._check_with
    if hasattr(check, "__wrapped__"):
        return

    @wraps(check)
    def checked(error_type: Any, cond: Any, message: Any) -> None:
        if cond is not True:
            check(error_type, cond, message)

    torch._check_with = checked


def defer_parts_of_torchvision(folders: Sequence[str]) -> None:
    """Keep out what ``import torchvision`` imports of it and image processing never asks for."""
    boxes = ("torchvision.ops.boxes", "torchvision.ops._box_convert", "torchvision.ops._utils")
    for name in ("torchvision.models", "torchvision.datasets", "torchvision.ops"):
        defer(folders, name, alone=boxes)


def read_models_once() -> None:
    """Let transformers read through its 1,500 files of models once; it does so for two of its modules."""
    if IMPORT_UTILS not in sys.modules and not any(isinstance(finder, _ImportUtils) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImportUtils())


class _ImportUtils(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != IMPORT_UTILS:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return spec
        return spec_from_file_location(fullname, spec.origin, loader=_Remembering(fullname, spec.origin))


class _Remembering(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        read = getattr(module, "create_import_structure_from_path", None)
        if read is not None:
            module.create_import_structure_from_path = remembering(read)  # type: ignore[attr-defined]


def remembering(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    """``read`` for a folder or a file in it, once for each folder."""
    once = lru_cache(maxsize=None)(read)
    return lambda path: once(str(Path(path).parent if Path(path).is_file() else path))
