"""Embeddings whose numbers are quantized; one that is tied to the output head reads its rows from the head's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .formats import FORMATS
from .layers import QuantizedLinear, QuantizedModule
from .types import QuantType


class QuantizedEmbedding(QuantizedModule):
    """An embedding, plain or scaled as Gemma's are (``readable`` tells which those are)."""

    def __init__(self, source: Any, kind: QuantType) -> None:
        super().__init__()
        self.num_embeddings: int = source.num_embeddings
        self.embedding_dim: int = source.embedding_dim
        self.dtype: torch.dtype = source.weight.dtype
        self.padding_idx: int | None = source.padding_idx
        # as those classes round it
        self.scale = float(torch.tensor(getattr(source, "scalar_embed_scale", 1.0), device="cpu").to(self.dtype))
        self.head: tuple[QuantizedLinear, ...] = ()  # in a tuple, it is no part of this module
        self.allocate("weight", kind, self.num_embeddings, self.embedding_dim)

    @staticmethod
    def readable(module: nn.Module) -> bool:
        """Whether this class can stand in for a module."""
        if not isinstance(module, nn.Embedding) or module.max_norm is not None:
            return False
        scaled = type(module).__name__.endswith("ScaledWordEmbedding") and hasattr(module, "scalar_embed_scale")
        return type(module) is nn.Embedding or scaled

    def share(self, head: QuantizedLinear) -> None:
        """Read the rows of ``head``, which has the same weights in the same type, and keep none."""
        for key in self.quantized.pop("weight").keys.values():
            delattr(self, key)
        self.head, head.looked_up = (head,), True

    def mark_dtype(self) -> None:
        """Keep an empty parameter of the model's dtype: a model's dtype is that of its first parameter."""
        device = next(iter(self.owner.parameters())).device
        self.register_parameter("like", nn.Parameter(torch.empty(0, dtype=self.dtype, device=device)))
        self.register_state_dict_post_hook(without_mark)  # type: ignore[no-untyped-call]  # torch leaves it so

    @property
    def owner(self) -> QuantizedModule:
        """The module that keeps the numbers."""
        return self.head[0] if self.head else self

    @property
    def weight(self) -> Any:
        """The matrix, for code that asks where it lies or for some rows of it; or the weight still to come."""
        placeholder = self._parameters.get("weight")
        return Rows(self) if placeholder is None else placeholder

    def lookup(self, indices: Tensor) -> Tensor:
        """The rows of the matrix with ``indices`` [...], not scaled: [..., embedding]."""
        owner = self.owner
        quantized = owner.quantized["weight"]
        how = quantized.rearranged or FORMATS[quantized.kind]
        found = how.lookup(indices.flatten(), owner.parts("weight"), quantized.rows, quantized.columns)
        return found.to(self.dtype).view(*indices.shape, self.embedding_dim)

    def rearrange(self, kept: Any = None, path: str = "") -> dict[str, Tensor]:
        return {}  # rows are read as they are stored

    def forward(self, input_ids: Tensor) -> Tensor:
        found = self.lookup(input_ids)
        return found if self.scale == 1 else found * self.scale

    def extra_repr(self) -> str:
        kind = self.owner.quantized["weight"].kind
        return f"{self.num_embeddings}, {self.embedding_dim}, {kind}{', the head has it' if self.head else ''}"


def without_mark(module: nn.Module, state: dict[str, Any], prefix: str, metadata: object) -> None:
    """Keep what ``mark_dtype`` added out of what is saved."""
    del state[f"{prefix}like"]


class Rows:
    """What code outside reads of an embedding's ``weight`` beside looking tokens up."""

    def __init__(self, embedding: QuantizedEmbedding) -> None:
        self.embedding = embedding
        self.dtype = embedding.dtype
        self.shape = torch.Size((embedding.num_embeddings, embedding.embedding_dim))
        self.device = next(iter(embedding.owner.parts("weight").values())).device

    def __getitem__(self, index: Any) -> Tensor:
        """Rows by a number, a slice or a tensor; ``[row, :]`` is one as well."""
        rows, *others = index if isinstance(index, tuple) else (index,)
        numbers = torch.arange(self.shape[0], device=self.device)[rows]
        found = self.embedding.lookup(numbers)
        return found[(..., *others)] if others else found
