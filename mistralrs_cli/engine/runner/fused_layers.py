"""Decoder layers that run one token a sequence with a fraction of the operator calls, on a CPU.

For one token of a small model the many little operators of transformers' layers, and the modules they stand in, take
longer than the matrices. Where a layer is of the form that most models share (``layer_forms``), a step of one token is
computed here: the same arithmetic in the same order, queries and keys rotated together, tables made once a step and not
once a layer, and no module called but those that are of no known form. Prompts run through transformers' own code.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from ...errors import UnsupportedModel
from ...loading.compat import is_offloaded
from ...loading.decoder_layers import decoder_layers
from ...loading.quantization.layers import QuantizedLinear
from . import attention, compat
from .layer_forms import ATTENTION, LAYER, MLP, NORM, NORMED_ATTENTION, has_form, rotates
from .widened_linear import FEWEST, WidenedLinear

Multiply = Callable[[Tensor], Tensor]
"""From [rows, in] to [rows, out]."""


def use_for(model: Any) -> int:
    """Let the layers of a model's decoder run their steps of one token here where they can; returns how many do."""
    try:
        layers = list(model.get_submodule(decoder_layers(model)))
    except UnsupportedModel:
        return 0
    rotary, found = RotaryTables(), 0
    for layer in layers:
        if "forward" not in vars(layer) and fusible(layer):
            layer.forward = FusedLayer(layer, rotary)
            found += 1
    return found


def fusible(layer: nn.Module) -> bool:
    """Whether ``FusedLayer`` computes what a layer does."""
    if not has_form(type(layer).forward, LAYER):
        return False
    own: Any = layer
    attends = own.self_attn
    norms = [own.input_layernorm, own.post_attention_layernorm]
    if has_form(type(attends).forward, NORMED_ATTENTION):
        norms += [attends.q_norm, attends.k_norm]
    elif not has_form(type(attends).forward, ATTENTION):
        return False
    return (
        all(has_form(type(norm).forward, NORM) for norm in norms)
        and all(
            multiplies(projection) for projection in (attends.q_proj, attends.k_proj, attends.v_proj, attends.o_proj)
        )
        and rotates(attends)
        and compat.attention(attends) == attention.NAME
        and not any(is_offloaded(module) or compat.has_hooks(module) for module in layer.modules())
        and all(tensor.device.type == "cpu" for tensor in layer.parameters())
    )


def multiplies(module: nn.Module) -> bool:
    """Whether a module is a linear layer of a kind that is known."""
    return type(module) in (nn.Linear, WidenedLinear, QuantizedLinear)


class Projections:
    """Linear layers that read the same inputs [rows, in], which are converted for all of them at once."""

    def __init__(self, *modules: Any) -> None:
        self.each = [multiplication(module) for module in modules]
        self.quantized = modules
        self.few = min(module.few if isinstance(module, QuantizedLinear) else 0 for module in modules)

    def __call__(self, inputs: Tensor) -> list[Tensor]:
        """What each of them makes of ``inputs``: [rows, out]."""
        if inputs.shape[0] < self.few:
            converted, dtype = inputs.bfloat16(), inputs.dtype
            return [module.few_rows(converted, dtype) for module in self.quantized]
        return [multiply(inputs) for multiply in self.each]


def multiplication(module: Any) -> Multiply:
    """What a linear layer does, without the way there."""
    if isinstance(module, QuantizedLinear):
        return module.direct()
    transposed, bias = module.weight.t(), module.bias

    def few(inputs: Tensor) -> Tensor:
        return torch.mm(inputs, transposed) if bias is None else torch.addmm(bias, inputs, transposed)

    if not isinstance(module, WidenedLinear):
        return few
    many: Multiply = module.forward
    return lambda inputs: few(inputs) if inputs.shape[0] < FEWEST else many(inputs)


def normalization(norm: Any) -> Multiply:
    """What a module of the form ``NORM`` does: bit for bit in float32, with fewer roundings in other dtypes."""
    weight, epsilon = norm.weight, norm.variance_epsilon
    shape = tuple(weight.shape)

    def normalized(inputs: Tensor) -> Tensor:
        if inputs.dtype is not torch.float32:
            return rms_norm(inputs, shape, weight, epsilon)
        variance = (inputs * inputs).mean(-1, keepdim=True)
        return variance.add_(epsilon).rsqrt_().mul(inputs).mul_(weight)

    return normalized


class RotaryTables:
    """Cosines and sines of the last step, as ``rotate`` multiplies with them; all layers of a step share them."""

    def __init__(self) -> None:
        self.sines: Tensor | None = None
        self.tables: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))

    def of(self, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
        """From what a model gives its layers, (rows, 1, width): both (rows, 1, 1, width), the second signed."""
        if sines is not self.sines:
            signed = sines.clone()
            signed[..., : sines.shape[-1] // 2].neg_()
            self.tables = cosines.unsqueeze(1), signed.unsqueeze(1)
            self.sines = sines
        return self.tables


def rotate(states: Tensor, cosines: Tensor, signed: Tensor) -> Tensor:
    """``states · cos + rotate_half(states) · sin``, bit for bit: the halves change places, and the sine the sign."""
    turned = states.roll(states.shape[-1] // 2, -1).mul_(signed)
    return (states * cosines).add_(turned)


class FusedLayer:
    """The ``forward`` of one decoder layer."""

    def __init__(self, layer: Any, rotary: RotaryTables) -> None:
        self.layer = ref(layer)  # a reference in a circle would keep the weights of a closed model in memory
        self.rotary = rotary
        self.prepared = False

    def __deepcopy__(self, memo: dict[int, Any]) -> FusedLayer:
        """That of the copied layer, with the copy's weights. Only a layer that is copied copies it."""
        return FusedLayer(memo[id(self.layer())], RotaryTables())

    def prepare(self) -> None:
        """Take the layer's weights and modules, before its first step."""
        layer: Any = self.layer()
        assert layer is not None, "called by its layer alone"
        attends, mlp = layer.self_attn, layer.mlp
        self.attention = attends
        self.head = attends.head_dim
        self.projections = Projections(attends.q_proj, attends.k_proj, attends.v_proj)
        self.out = Projections(attends.o_proj)
        self.before, self.between = (
            normalization(norm) for norm in (layer.input_layernorm, layer.post_attention_layernorm)
        )
        normed = has_form(type(attends).forward, NORMED_ATTENTION)
        self.norms = (normalization(attends.q_norm), normalization(attends.k_norm)) if normed else None
        self.mlp = self.gated(mlp) if has_form(type(mlp).forward, MLP) else None
        self.module = mlp
        self.prepared = True

    @property
    def own(self) -> Callable[..., Tensor]:
        """The layer's own code, for all that is no step of one token."""
        layer = self.layer()
        assert layer is not None, "called by its layer alone"
        return MethodType(type(layer).forward, layer)

    def gated(self, mlp: Any) -> Multiply | None:
        """What a module of the form ``MLP`` does; ``None`` where its linear layers are of an unknown kind."""
        projections = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        if not all(multiplies(projection) for projection in projections):
            return None
        both, down = Projections(*projections[:2]), Projections(projections[2])
        activate = torch.nn.functional.silu if is_silu(mlp.act_fn) else mlp.act_fn

        def forward(inputs: Tensor) -> Tensor:
            gate, up = both(inputs)
            return down(activate(gate) * up)[0]

        return forward

    def __call__(self, hidden_states: Tensor, *given: Any, **named: Any) -> Tensor:
        """A layer's output (rows, tokens, width)."""
        cache, embeddings = named.get("past_key_values"), named.get("position_embeddings")
        if (
            given
            or hidden_states.shape[1] != 1
            or cache is None
            or embeddings is None
            or embeddings[0].dim() != 3
            or any(named.get(name) for name in attention.OTHERS)
        ):
            found: Tensor = self.own(hidden_states, *given, **named)
            return found
        if not self.prepared:
            self.prepare()
        rows, width = hidden_states.shape[0], hidden_states.shape[2]
        residual = hidden_states.reshape(rows, width)
        attended = self.attend(self.before(residual), embeddings, cache, named.get("attention_mask"))
        residual = residual + self.out(attended)[0]
        inputs = self.between(residual)
        outputs = (
            self.mlp(inputs) if self.mlp is not None else self.module(inputs.view(rows, 1, width)).view(rows, width)
        )
        return (residual + outputs).view(rows, 1, width)

    def attend(self, inputs: Tensor, embeddings: tuple[Tensor, Tensor], cache: Any, mask: Tensor | None) -> Tensor:
        """Attention for ``inputs`` [rows, width]: [rows, heads · head width]."""
        rows = inputs.shape[0]
        query, key, value = self.projections(inputs)
        if self.norms is not None:
            query = self.norms[0](query.view(rows, -1, self.head)).view(rows, -1)
            key = self.norms[1](key.view(rows, -1, self.head)).view(rows, -1)
        both = torch.cat((query, key), 1).view(rows, -1, 1, self.head)
        query, key = rotate(both, *self.rotary.of(*embeddings)).split_with_sizes(
            (query.shape[1] // self.head, key.shape[1] // self.head), 1
        )
        key, value = cache.update(key, value.view(rows, -1, 1, self.head), self.attention.layer_idx)
        attended, _ = attention.attend(self.attention, query, key, value, mask, scaling=self.attention.scaling)
        return attended.reshape(rows, -1)


def is_silu(function: Any) -> bool:
    """Whether an activation is transformers' or torch's module for SiLU."""
    return type(function).__name__ in ("SiLU", "SiLUActivation")
