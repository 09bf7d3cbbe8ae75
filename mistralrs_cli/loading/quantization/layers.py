"""Modules whose weights are quantized: they take the place of transformers' own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .compat import has_own_gate
from .fastest import fastest_order
from .format import Rearranged, Tensors, aligned
from .formats import FORMATS
from .types import QuantType


@dataclass
class QuantizedWeight:
    """One quantized weight of a module: [*stack, rows, columns]."""

    kind: QuantType
    stack: tuple[int, ...]
    rows: int
    columns: int
    keys: dict[str, str]
    """Under which name the module keeps each tensor of the format."""
    rearranged: Rearranged | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the format's tensors."""
        return tuple(self.keys)


class QuantizedModule(nn.Module):
    """A module that keeps some weights as the tensors of a format, named ``weight_packed``, ``weight_scale`` …

    Until its checkpoint is read a weight may still be there as an ordinary parameter, on the meta device, by which the
    loader finds it.
    """

    looked_up = False
    """Whether an embedding reads rows of these weights."""

    def __init__(self) -> None:
        super().__init__()
        self.quantized: dict[str, QuantizedWeight] = {}

    def allocate(self, name: str, kind: QuantType, *shape: int) -> None:
        """Register empty tensors, on the meta device, for a weight of ``shape`` [*stack, rows, columns]."""
        *stack, rows, columns = shape
        layout = FORMATS[kind].layout(rows, columns)
        self.quantized[name] = QuantizedWeight(kind, tuple(stack), rows, columns, keys(name, layout))
        for part, (inner, dtype) in layout.items():
            self.register_part(name, part, torch.empty((*stack, *inner), dtype=dtype, device="meta"))

    def await_weight(self, name: str, placeholder: nn.Parameter) -> None:
        """Keep an ordinary parameter, by which the loader finds the weight that is to be quantized."""
        self._parameters[name] = placeholder  # ``register_parameter`` refuses the name of a property

    def register_part(self, name: str, part: str, tensor: Tensor) -> None:
        """Keep one tensor of a weight as a parameter, so that it is saved, moved and offloaded like any."""
        self.register_parameter(f"{name}_{part}", nn.Parameter(tensor, requires_grad=False))

    def parts(self, name: str, *index: int) -> Tensors:
        """The tensors of a weight; of one matrix of a stack with an index."""
        tensors = self._parameters  # attributes of a module are found slowly, and this is on the way of every product
        stored: dict[str, Any] = {part: tensors[key] for part, key in self.quantized[name].keys.items()}
        return {part: tensor[index] for part, tensor in stored.items()} if index else stored

    def pack(self, name: str, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        """Quantize a weight [*stack, rows, columns]: its tensors by their names in this module.

        ``importance`` float32 [*stack, columns] is that of ``Format.pack``.
        """
        quantized = self.quantized[name]
        pack = FORMATS[quantized.kind].pack
        if quantized.stack:
            counts = [None] * len(weight) if importance is None else importance
            packed = [pack(matrix, count) for matrix, count in zip(weight, counts, strict=True)]
            found = {part: torch.stack([one[part] for one in packed]) for part in quantized.parts}
        else:
            found = pack(weight, importance)
        return {f"{name}_{part}": tensor for part, tensor in found.items()}

    def multiply(self, name: str, inputs: Tensor, *index: int) -> Tensor:
        """``inputs`` [..., columns] times the transposed weight, or one matrix of its stack: [..., rows]."""
        quantized = self.quantized[name]
        how = quantized.rearranged or FORMATS[quantized.kind]
        return how.linear(inputs, self.parts(name, *index), quantized.rows, quantized.columns)

    def rearrange(self, kept: Tensors | None = None, path: str = "") -> dict[str, Tensor]:
        """Put the numbers in the order and place that their device multiplies fastest. There is no way back.

        Tensors of that order that were ``kept`` are taken instead of making them, by names that begin with ``path``.
        Returns those that are worth keeping.
        """
        keep: dict[str, Tensor] = {}
        for name, quantized in self.quantized.items():
            stored = self.parts(name)
            device = next(iter(stored.values())).device
            example = self.parts(name, *([0] * len(quantized.stack)))
            fastest = fastest_order(quantized.kind, example, quantized.rows, quantized.columns, device)
            if self.looked_up and fastest is not None and not fastest.looks_up(quantized.rows):
                fastest = None
            prefix = f"{path}.{name}_"
            if fastest is None or not fastest.kept:
                self.align(name)
            if fastest is None:
                continue
            found = {part: kept[prefix + part] for part in fastest.kept if kept and prefix + part in kept}
            made = found if found.keys() == set(fastest.kept) and found else self.rearranged(name, fastest)
            for part in quantized.parts:
                delattr(self, f"{name}_{part}")
            quantized.keys, quantized.rearranged = keys(name, made), fastest
            for part, tensor in made.items():
                self.register_part(name, part, tensor)
            keep |= {prefix + part: made[part] for part in fastest.kept}
        return keep

    def align(self, name: str) -> None:
        """Have the tensors of a weight begin where a CPU's kernels can load them."""
        for part, tensor in self.parts(name).items():
            if tensor.device.type == "cpu" and not aligned(tensor):
                self.register_part(name, part, tensor.clone())

    def rearranged(self, name: str, fastest: Rearranged) -> dict[str, Tensor]:
        """The tensors of a weight in another order."""
        quantized = self.quantized[name]
        if not quantized.stack:
            return fastest.rearrange(self.parts(name))
        each = [fastest.rearrange(self.parts(name, index)) for index in range(quantized.stack[0])]
        return {part: torch.stack([one[part] for one in each]) for part in each[0]}


def keys(name: str, parts: Iterable[str]) -> dict[str, str]:
    """Under which name a module keeps each of the tensors of a weight."""
    return {part: f"{name}_{part}" for part in parts}


class QuantizedLinear(QuantizedModule):
    """A linear layer."""

    def __init__(self, source: nn.Linear, kind: QuantType) -> None:
        super().__init__()
        self.in_features, self.out_features = source.in_features, source.out_features
        self.allocate("weight", kind, source.out_features, source.in_features)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", source.bias)

    @property
    def weight(self) -> Tensor:
        """A tensor on this layer's device, for code that asks a weight where it lies; or the weight still to come."""
        placeholder = self._parameters.get("weight")
        return next(iter(self.parts("weight").values())) if placeholder is None else placeholder

    def forward(self, inputs: Tensor) -> Tensor:
        product = self.multiply("weight", inputs)
        return product if self.bias is None else product + self.bias

    def direct(self) -> Callable[[Tensor], Tensor]:
        """``forward`` for inputs [tokens, in] as the weights are now, with as little on the way as there may be."""
        quantized = self.quantized["weight"]
        found = None
        if quantized.rearranged is not None and self.bias is None:
            found = quantized.rearranged.direct(self.parts("weight"), quantized.rows, quantized.columns)
        return found or self.forward

    @property
    def few(self) -> int:
        """Below so many rows of inputs ``few_rows`` multiplies; 0 is never."""
        rearranged = self.quantized["weight"].rearranged
        return 0 if rearranged is None else rearranged.few

    def few_rows(self, inputs: Tensor, dtype: torch.dtype) -> Tensor:
        """``forward`` of ``inputs`` bfloat16 [tokens, in] that were converted before, for several layers at once."""
        quantized = self.quantized["weight"]
        assert quantized.rearranged is not None
        product = quantized.rearranged.few_rows(inputs, self.parts("weight"), quantized.rows, dtype)
        return product if self.bias is None else product + self.bias

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, {self.quantized['weight'].kind}"


class QuantizedExperts(QuantizedModule):
    """The routed experts of a mixture: stacks of matrices, of which each token uses a few.

    Takes the place of the ``…Experts`` modules of transformers that hold ``gate_up_proj`` and ``down_proj`` as stacks
    and gate with ``act_fn(gate) · up``; ``readable`` tells which those are. Some keep their matrices transposed.
    Stacks without a type in ``kinds`` stay as they are.
    """

    NAMES = ("gate_up_proj", "down_proj")
    observer: Callable[[str, Tensor, int], None] | None = None
    """Called with the name of a stack, what an expert's matrix of it is to multiply [tokens, in], and the expert."""

    def __init__(self, source: Any, kinds: dict[str, QuantType]) -> None:
        super().__init__()
        self.transposed = transposed(source)
        self.num_experts: int = source.gate_up_proj.shape[0]
        self.act_fn: Callable[[Tensor], Tensor] = source.act_fn
        for name in self.NAMES:
            experts, first, second = getattr(source, name).shape
            if name in kinds:
                self.allocate(name, kinds[name], experts, *((second, first) if self.transposed else (first, second)))
            else:
                self.register_parameter(name, getattr(source, name))

    @staticmethod
    def readable(module: nn.Module) -> bool:
        """Whether this class can stand in for a module."""
        stacks = [getattr(module, name, None) for name in QuantizedExperts.NAMES]
        return (
            all(isinstance(stack, nn.Parameter) and stack.dim() == 3 for stack in stacks)
            and hasattr(module, "act_fn")
            and getattr(module, "has_gate", True)
            and getattr(module, "is_concatenated", True)
            and not getattr(module, "has_bias", False)
            and not getattr(module, "has_post_expert_norm", False)
            and not has_own_gate(type(module))
        )

    def columns(self, name: str) -> int:
        """How many inputs the matrices of a stack have."""
        if name in self.quantized:
            return self.quantized[name].columns
        return int(getattr(self, name).shape[1 if self.transposed else 2])

    def pack(self, name: str, weight: Tensor, importance: Tensor | None = None) -> dict[str, Tensor]:
        return super().pack(name, weight.transpose(1, 2) if self.transposed else weight, importance)

    def project(self, name: str, inputs: Tensor, expert: int) -> Tensor:
        """One expert's matrix, applied to ``inputs`` [tokens, in]."""
        if self.observer is not None:
            self.observer(name, inputs, expert)
        if name in self.quantized:
            return self.multiply(name, inputs, expert)
        matrix = getattr(self, name)[expert]
        return inputs @ matrix if self.transposed else nn.functional.linear(inputs, matrix)

    def expert(self, inputs: Tensor, expert: int) -> Tensor:
        """What one expert makes of ``inputs`` [tokens, hidden]."""
        gate, up = self.project("gate_up_proj", inputs, expert).chunk(2, dim=-1)
        return self.project("down_proj", self.act_fn(gate) * up, expert)

    def forward(self, inputs: Tensor, chosen: Tensor | None = None, shares: Tensor | None = None) -> Tensor:
        """``inputs`` [tokens, hidden] with each token's experts and their shares, both [tokens, k].

        Llama 4 gives neither: its inputs [experts · tokens, hidden] are copied for each expert and weighted before,
        with nothing but zeros for tokens that an expert does not get.
        """
        if chosen is None or shares is None:
            return self.forward_copies(inputs)
        result = torch.zeros_like(inputs)
        for expert in chosen.unique().tolist():
            if expert >= self.num_experts:
                continue
            token, place = torch.where(chosen == expert)
            found = self.expert(inputs[token], expert) * shares[token, place, None]
            result.index_add_(0, token, found.to(result.dtype))
        return result

    def forward_copies(self, inputs: Tensor) -> Tensor:
        """Llama 4's way."""
        copies = inputs.view(self.num_experts, -1, inputs.shape[-1])
        result = torch.zeros_like(copies)
        for expert in range(self.num_experts):
            token = copies[expert].any(-1).nonzero().squeeze(-1)
            if len(token):
                result[expert, token] = self.expert(copies[expert, token], expert)
        return result.view(-1, inputs.shape[-1])


def transposed(experts: Any) -> bool:
    """Whether a module of experts keeps its matrices as [in, out]."""
    return bool(experts.gate_up_proj.shape[1] == experts.down_proj.shape[2])
