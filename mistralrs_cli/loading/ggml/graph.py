"""One product in ggml's terms: a graph for matrices of one shape, run again and again for others."""

from __future__ import annotations

from ctypes import addressof, byref, c_void_p, create_string_buffer, memmove

from .block_types import BlockType
from .library import GgmlError, InitParameters, Library

FLOAT32 = 0
ALIGNMENT = 64


class Graph:
    """Weights [rows, columns] times ``tokens`` rows of inputs, all in memory of the caller's.

    Rows of whole blocks are one product. Where rows begin within blocks, each phase (``BlockType.phases``) is a product
    of its own with those blocks that hold a row, for one token. Its inputs are copied between zeros, so that a window
    of whole blocks fits around each phase. Outputs are then [phases, rows / phases].
    """

    def __init__(self, library: Library, kind: BlockType, rows: int, columns: int, tokens: int) -> None:
        phases = kind.phases(columns)
        assert kind.cuts(rows, columns), "another format stores it"
        assert phases == 1 or tokens == 1, "one token at a time"
        self.library, self.rows = library, rows
        nodes = 8 * phases
        size = (4 * phases + 1) * library.tensor_overhead() + library.graph_overhead_custom(nodes, False) + 1024
        self.context = library.init(InitParameters(size, None, True))
        graph = library.new_graph_custom(self.context, nodes, False)
        base = library.new_tensor_2d(self.context, kind.number, columns * phases, rows // phases)
        stride = columns * phases // kind.size * kind.bytes
        before, after = padding(kind, columns)
        self.bytes = 4 * columns
        self.padded = create_string_buffer(4 * (before + columns + after)) if phases > 1 else None
        self.copied = 0 if self.padded is None else addressof(self.padded)
        self.inner = self.copied + 4 * before
        self.places: list[tuple[c_void_p, int, c_void_p, int, c_void_p, int]] = []
        for phase in range(phases):
            first, last = columns * phase // kind.size, -(-columns * (phase + 1) // kind.size)
            width, start = (last - first) * kind.size, columns * phase - first * kind.size
            weights = library.view_2d(self.context, base, width, rows // phases, stride, first * kind.bytes)
            inputs = library.new_tensor_2d(self.context, FLOAT32, width, tokens)
            outputs = library.mul_mat(self.context, weights, inputs)
            library.build_forward_expand(graph, outputs)
            slots = [c_void_p.from_address(tensor + library.data_offset) for tensor in (weights, inputs, outputs)]
            offsets = (first * kind.bytes, 4 * (before - start), 4 * phase * (rows // phases))
            self.places.append((slots[0], offsets[0], slots[1], offsets[1], slots[2], offsets[2]))
        self.graph = graph
        self.plan = library.graph_plan(graph, 1, None)
        self.work = create_string_buffer(self.plan.work_size + ALIGNMENT)
        self.plan.work = addressof(self.work) + -addressof(self.work) % ALIGNMENT
        self.reference = byref(self.plan)

    def run(self, weights: int, inputs: int, outputs: int) -> None:
        """Multiply what lies at these addresses. Not from two threads at once. Raises ``GgmlError``."""
        if self.copied:
            memmove(self.inner, inputs, self.bytes)
            inputs = self.copied
        for weight, first, source, before, target, start in self.places:
            weight.value = weights + first
            source.value = inputs + before
            target.value = outputs + start
        if self.library.graph_compute(self.graph, self.reference):
            raise GgmlError("a product failed")

    def __del__(self) -> None:
        if context := self.__dict__.get("context"):
            self.library.free(context)


def padding(kind: BlockType, columns: int) -> tuple[int, int]:
    """How many zeros stand before and after a token's inputs, so that whole blocks fit around each phase."""
    edges = [(columns * phase % kind.size, -columns * (phase + 1) % kind.size) for phase in range(kind.phases(columns))]
    return max(before for before, _ in edges), max(after for _, after in edges)
