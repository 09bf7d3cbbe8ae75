"""Products of torch's tensors by ggml: cut into pieces that several threads share, the same to the last bit by any cut.

Each number of a product is the product of one row of weights and one token's inputs, which ggml rounds to 8 bits for
every 32 or 256 of them. Where a library computes it differently for several tokens at once (``probe``), each token is
multiplied alone. So a token's result does not depend on what it is batched with.

Outputs are float32 by name: torch's default dtype is that of a model that another thread loads.
"""

from __future__ import annotations

import threading
from ctypes import c_int64, c_void_p
from functools import partial

import torch
from torch import Tensor

from .block_types import BlockType
from .graph import Graph
from .library import Library
from .thread_pool import POOL, Piece

SHARED = 1 << 20
"""Bytes of weights from which on waking another thread takes less time than it saves."""
TOGETHER = (32, 16, 8, 4, 2)
"""Tokens that one graph multiplies, so that there are few graphs."""


class Graphs(threading.local):
    """A thread's graphs, by rows and tokens: a graph is run by one thread at a time."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], Graph] = {}


class Multiplier:
    """Multiplies weights of one type and shape [rows, columns]; ``alone``: each token by itself."""

    def __init__(self, library: Library, kind: BlockType, rows: int, columns: int, alone: bool) -> None:
        self.library, self.kind, self.rows, self.columns = library, kind, rows, columns
        self.phases = kind.phases(columns)
        self.alone = alone or self.phases > 1
        self.size = rows * columns // kind.size * kind.bytes
        self.graphs = Graphs()

    def __deepcopy__(self, memo: object) -> Multiplier:
        """Itself: it holds nothing of a model."""
        return self

    def multiply(self, blocks: Tensor, inputs: Tensor, threads: int) -> Tensor:
        """``inputs`` float32 [tokens, columns] times the transposed weights: float32 [tokens, rows]."""
        tokens, inputs = inputs.shape[0], inputs.contiguous()
        outputs = torch.empty(tokens, self.rows, dtype=torch.float32)
        weights, source, target = blocks.data_ptr(), inputs.data_ptr(), outputs.data_ptr()
        if threads > 1 and self.size * tokens >= SHARED:
            POOL.run(self.pieces(weights, source, target, tokens, threads), threads)
        elif tokens == 1:
            self.graph(self.rows, 1).run(weights, source, target)
        else:
            for piece in self.pieces(weights, source, target, tokens, 1):
                piece()
        if self.phases == 1:
            return outputs
        return outputs.view(tokens, self.phases, -1).transpose(1, 2).reshape(tokens, self.rows)

    def graph(self, rows: int, tokens: int) -> Graph:
        """This thread's graph for some rows and tokens."""
        found = self.graphs.found
        graph = found.get((rows, tokens))
        if graph is None:
            graph = found[rows, tokens] = Graph(self.library, self.kind, rows, self.columns, tokens)
        return graph

    def run(self, rows: int, tokens: int, weights: int, inputs: int, outputs: int) -> None:
        """Multiply what lies at these addresses."""
        self.graph(rows, tokens).run(weights, inputs, outputs)

    def pieces(self, weights: int, inputs: int, outputs: int, tokens: int, threads: int) -> list[Piece]:
        """A product in pieces: of several tokens, or of some rows for one token. Given are the addresses."""
        width, height = 4 * self.columns, 4 * self.rows
        found: list[Piece] = []
        token = 0
        if not self.alone and tokens >= 4 * threads:
            most = tokens if threads == 1 else max(2, tokens // (2 * threads))
            for count in (count for count in TOGETHER if count <= most):
                while tokens - token >= count:
                    places = (weights, inputs + token * width, outputs + token * height)
                    found.append(partial(self.run, self.rows, count, *places))
                    token += count
        cuts = 2 * threads if threads > 1 and self.phases == 1 and self.size >= SHARED else 1
        step = -(-self.rows // cuts)
        for row in range(0, self.rows, step):
            rows = min(step, self.rows - row)
            for single in range(token, tokens):
                start = weights + row * (self.size // self.rows)
                places = (start, inputs + single * width, outputs + single * height + 4 * row)
                found.append(partial(self.run, rows, 1, *places))
        return found

    def unpack(self, blocks: Tensor, threads: int) -> Tensor:
        """The weights again: float32 [rows, columns]."""
        matrix = torch.empty(self.rows, self.columns, dtype=torch.float32)
        function = self.library.function(f"dequantize_row_{self.kind.name}", None, c_void_p, c_void_p, c_int64)
        count = matrix.numel() // self.kind.size
        step = -(-count // (2 * threads)) if threads > 1 else count
        source, target = blocks.data_ptr(), matrix.data_ptr()
        pieces = [
            partial(
                function,
                source + first * self.kind.bytes,
                target + 4 * first * self.kind.size,
                min(step, count - first) * self.kind.size,
            )
            for first in range(0, count, step)
        ]
        POOL.run(pieces, threads)
        return matrix
