"""The quantizer as transformers' loader wants it: each tensor is packed as soon as it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from .embeddings import QuantizedEmbedding
from .fastest import eight_bits
from .formats import concrete_type
from .layers import QuantizedExperts, QuantizedLinear, QuantizedModule, transposed
from .plan import Pin, plan
from .request import no_experts
from .targets import weights
from .types import LAYOUT, QuantType

METHOD = "mistralrs"

Progress = Callable[[int, int], None]
"""Called with how many weights are quantized, and how many there are."""

_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def reporting(progress: Progress | None) -> Iterator[None]:
    """Call ``progress`` for each weight that is quantized meanwhile in this thread.

    It is no argument of ``from_pretrained``: transformers deep-copies those, and a terminal cannot be copied.
    """
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


_importance: ContextVar[Mapping[str, Tensor]] = ContextVar("importance", default={})  # noqa: B039 - never changed


@contextmanager
def weighing(importance: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Quantize weights with the importance of their columns (``QuantizedModule.pack``), by their full names."""
    token = _importance.set(importance or {})
    try:
        yield
    finally:
        _importance.reset(token)


@register_quantization_config(METHOD)
class Quantization(QuantizationConfigMixin):
    """How a model is to be quantized, or (``types``) how its checkpoint is. The latter is what ``config.json`` says.

    With ``observable`` and no type nothing is quantized, and experts are loaded as modules that can be watched.
    """

    def __init__(
        self,
        default: QuantType | None = None,
        *,
        experts_only: bool = False,
        pins: Sequence[Pin] = (),
        device: torch.device | None = None,
        types: dict[str, str] | None = None,
        observable: bool = False,
        **context: object,
    ) -> None:
        self.quant_method = METHOD  # type: ignore[assignment]  # transformers lists its own only
        self.default, self.experts_only, self.pins = default, experts_only, tuple(pins)
        self.device = device or torch.device("cpu")
        self.observable = observable
        self.types = {name: QuantType(kind) for name, kind in (types or {}).items()}

    def to_dict(self) -> dict[str, Any]:
        types = {name: kind.value for name, kind in self.types.items()}
        return {"quant_method": METHOD, "version": LAYOUT, "types": types}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(set(self.types.values()))})"


@register_quantizer(METHOD)
class Quantizer(HfQuantizer):
    """Swaps modules before the weights are read, and packs the weights when they are.

    ``awaited`` are the weights still to come; ``shared`` names the heads that an embedding also serves as, by that
    embedding; ``saved`` counts the bytes by which the model has become smaller.
    """

    requires_calibration = False
    quantization_config: Quantization

    def __init__(self, quantization_config: Quantization, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        self.awaited: set[str] = set()
        self.shared: dict[str, str] = {}
        self.total = 0
        self.saved = 0

    def _process_model_before_weight_loading(self, model: Any, **context: object) -> None:
        config = self.quantization_config
        if not self.pre_quantized:
            planned = plan(
                weights(model),
                config.default,
                experts_only=config.experts_only,
                pins=config.pins,
                device=config.device.type,
                eight=eight_bits(config.device),
            )
            config.types = {name: kind for name, kind in planned.items() if kind is not None}
            self.settle_tied(model)
            if config.experts_only and not config.types:
                raise no_experts(f"A {type(model).__name__}")
        by_module: dict[str, dict[str, QuantType]] = {}
        for name, kind in config.types.items():
            path, _, parameter = name.rpartition(".")
            by_module.setdefault(path, {})[parameter] = kind
        for path, kinds in by_module.items():
            self.swap(model, path, kinds)
        for embedding, head in self.shared.items():
            self.share(model, embedding.rpartition(".")[0], head.rpartition(".")[0])
        if config.observable:
            for path in [name for name, module in model.named_modules() if QuantizedExperts.readable(module)]:
                model.set_submodule(path, QuantizedExperts(model.get_submodule(path), {}))
        self.total = len(self.awaited)

    def settle_tied(self, model: Any) -> None:
        """Give embeddings that are tied to a head its type of 8 bits, and a head that has none that of its embedding.

        Both stay as they are where a pin says so of the head.
        """
        types = self.quantization_config.types
        kept = [pin.pattern for pin in self.quantization_config.pins if pin.pattern is not None and pin.type is None]
        for head, embedding in model.all_tied_weights_keys.items():
            if embedding not in types:
                continue
            if head in types:
                if types[head].bits == types[embedding].bits:
                    types[embedding] = types[head]
            elif type(model.get_submodule(head.rpartition(".")[0])) is nn.Linear and not any(
                re.search(pattern, head) for pattern in kept
            ):
                types[head] = types[embedding]
            else:
                del types[embedding]

    def share(self, model: Any, embedding: str, head: str) -> None:
        """Keep one copy of what an embedding and a head have in the same type."""
        one, other = model.get_submodule(embedding), model.get_submodule(head)
        if isinstance(one, QuantizedEmbedding) and one.quantized["weight"].kind is other.quantized["weight"].kind:
            one.share(other)

    def swap(self, model: Any, name: str, kinds: dict[str, QuantType]) -> None:
        """Put a quantized module in the place of an ordinary one."""
        source = model.get_submodule(name)
        for parameter, kind in kinds.items():
            shape = getattr(source, parameter).shape
            turned = shape.numel() and len(shape) == 3 and transposed_stack(source)
            rows, columns = reversed(shape[-2:]) if turned else shape[-2:]
            kinds[parameter] = concrete_type(kind, 1 if isinstance(source, nn.Embedding) else rows, columns)
            self.quantization_config.types[f"{name}.{parameter}"] = kinds[parameter]
        module: QuantizedModule
        match source:
            case nn.Linear():
                module = QuantizedLinear(source, kinds["weight"])
            case nn.Embedding():
                module = QuantizedEmbedding(source, kinds["weight"])
            case _:
                module = QuantizedExperts(source, kinds)
        model.set_submodule(name, module)
        for parameter in kinds:
            full = f"{name}.{parameter}"
            embedding = model.all_tied_weights_keys.pop(full, None)
            if embedding is not None:
                self.shared[embedding] = full
                for config in (model.config, model.config.get_text_config(decoder=True)):
                    config.tie_word_embeddings = False
            if not self.pre_quantized:
                self.awaited.add(embedding or full)
                if embedding is None:
                    module.await_weight(parameter, getattr(source, parameter))

    def param_needs_quantization(self, model: Any, param_name: str, **context: object) -> bool:
        return param_name in self.awaited

    def get_quantize_ops(self) -> Pack:
        return Pack(self)

    def pack(self, model: Any, name: str, weight: Tensor) -> dict[str, Tensor]:
        """What the loader is to store for a weight just read: of an embedding also what a head tied to it keeps."""
        if name not in self.awaited:
            return {name: weight}
        self.awaited.discard(name)
        packed: dict[str, Tensor] = {}
        for target in dict.fromkeys((name, self.shared.get(name, name))):
            path, _, parameter = target.rpartition(".")
            module = model.get_submodule(path)
            if isinstance(module, QuantizedModule) and parameter in module.quantized:
                found = module.pack(parameter, weight, _importance.get().get(target))
                packed |= {f"{path}.{part}": tensor for part, tensor in found.items()}
        if (progress := _progress.get()) is not None:
            progress(self.total - len(self.awaited), self.total)
        self.saved -= sum(tensor.numel() * tensor.element_size() for tensor in packed.values())
        if name not in self.quantization_config.types:  # an embedding that stays, beside a head tied to it
            return {name: weight, **packed}
        self.saved += weight.numel() * weight.element_size()
        path, _, parameter = name.rpartition(".")
        delattr(model.get_submodule(path), parameter)
        return packed

    def _process_model_after_weight_loading(self, model: Any, **context: object) -> Any:
        for module in model.modules():
            if isinstance(module, QuantizedEmbedding):
                module.mark_dtype()
        return model

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


class Pack(ConversionOps):
    """The step that the loader puts after all others for a weight that is to be quantized."""

    def __init__(self, quantizer: Quantizer) -> None:
        self.quantizer = quantizer

    @torch.no_grad()
    def convert(
        self, input_dict: dict[str, Any], source_patterns: list[str], target_patterns: list[str], **context: Any
    ) -> dict[str, Any]:
        packed: dict[str, Tensor] = {}
        for name, value in input_dict.items():
            weight = value[0] if isinstance(value, list) else value
            packed.update(self.quantizer.pack(context["model"], name, weight))
            context["missing_keys"].discard(name)
        return packed


def transposed_stack(module: nn.Module) -> bool:
    """Whether a module's stacks of experts are kept as [in, out]."""
    return QuantizedExperts.readable(module) and transposed(module)
