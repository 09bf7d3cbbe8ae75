"""Whether a model fits, and where its layers go: settled from files' headers before any weight is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, OutOfMemory, QuantizationError
from ..options import ModelOptions
from ..sizes import readable
from .checkpoint import Checkpoint
from .decoder_layers import is_vocabulary
from .devices import accelerators, free_memory
from .headers import read_headers
from .kv_cache import check_kv_cache
from .memory import MemoryNeeds, number, plan_need, text_weights
from .placement import Placement, by_counts, by_topology, memory_limits, read_layers, read_memory
from .quantization import Pin, QuantType, parse_quantization
from .quantization.prequantized import dequantized_on_load, method, stored_quantization
from .quantization.request import no_experts, too_few_weights
from .slicing import sliced_headers
from .topology import Topology, quantized_to, read_topology

if TYPE_CHECKING:
    from pathlib import Path

    import torch

FEWER_BITS = (QuantType.EIGHT, QuantType.FOUR)
FEW_WEIGHTS = 1_000_000_000
"""Weights of the text layers below which no way to store them in 2 bits leaves a model that can be used."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A placement, what it needs, and the bytes each device has for it.

    ``pins`` is what the topology says on quantization, ``advice`` what to type if there is too little memory,
    ``note`` what was decided for the user and slows the model down, or which layers keep no fewer bits in the KV cache.
    """

    placement: Placement
    need: MemoryNeeds
    available: Mapping[str, int]
    pins: tuple[Pin, ...] = ()
    advice: str | None = None
    note: str | None = None

    @property
    def demand(self) -> dict[str, int]:
        """Bytes needed on every device."""
        return demand(self.need, self.placement)

    @property
    def shortage(self) -> int:
        """Bytes that do not fit."""
        return shortage(self.need, self.placement, self.available)

    def summary(self, options: ModelOptions) -> str:
        """What is planned, in a line; with what the devices have where that is not all on one, or not enough."""
        need, wanted = self.need, self.demand
        stored = "" if options.kv_cache_type == "auto" else f"{options.kv_cache_type} "
        parts = (
            f"weights {readable(need.weights)}, KV cache {stored}{readable(sum(need.cache))} "
            f"({options.max_seq_len:,} tokens × {options.max_batch_size}), activations {readable(need.activations)}"
        )
        if len(wanted) == 1 and not self.shortage:
            return f"{readable(need.total)} on {self.placement.rest}: {parts}"
        devices = ", ".join(
            f"{readable(size)} of {readable(self.available[device])} on {device}" for device, size in wanted.items()
        )
        short = f"; {readable(self.shortage)} too little" if self.shortage else ""
        return f"{readable(need.total)}: {parts}; {devices}{short}"


def check_placement(options: ModelOptions) -> Topology | None:
    """The topology of the options, once all that can be checked without a model is checked.

    Raises ``OptionError``.
    """
    topology = None if options.topology is None else read_topology(options.topology)
    if options.device_layers is not None:
        read_layers(options.device_layers)
        if topology is not None and topology.places:
            raise OptionError("-n and a topology with devices exclude each other.", "Say it all in the topology.")
    if options.max_memory is not None:
        read_memory(options.max_memory)
    return topology


def plan_placement(
    checkpoint: Checkpoint, options: ModelOptions, folder: Path, device: torch.device, dtype: torch.dtype
) -> MemoryPlan:
    """Place a checkpoint whose files lie in ``folder``. Does not raise where it does not fit: see ``require_memory``.

    Raises ``QuantizationError`` where experts alone are to be quantized and there are none, and for 2 bits of a small
    model.
    """
    family, topology = checkpoint.family, check_placement(options)
    stored = read_headers(folder)
    text = family.text_config
    layers = number(text, "num_hidden_layers")
    cached = check_kv_cache(checkpoint.name, text, options.kv_cache_type, layers)
    if checkpoint.slice is not None:
        stored = sliced_headers(stored, checkpoint.slice)
    wide = dequantized_on_load(stored_quantization(checkpoint.config))
    request = parse_quantization(options)
    pinned = topology or Topology()
    experts_only = request is not None and request.experts_only
    if experts_only and not pinned.pins and not any("expert" in name for name in stored):
        raise no_experts(checkpoint.name)

    def planned(options: ModelOptions, kind: QuantType | None) -> MemoryNeeds:
        def kind_of(name: str, layer: int | None) -> QuantType | None:
            if isq := pinned.weight(name, layer).isq:
                return quantized_to(isq)
            if experts_only and "expert" not in name:
                return None
            if layer is None and kind is not None:  # Q8_0 may be kept in more bits than it is stored in
                eight = QuantType.Q8_0 if kind is QuantType.Q8_0 else QuantType.INT8
                return eight if is_vocabulary(name, family.towers) else None
            return kind

        return plan_need(stored, family, options, dtype.itemsize, kind_of, dequantized_on_load=wide)

    kind = None if request is None else request.type
    need = planned(options, kind)
    asked = {kind, *(pin.type for pin in pinned.pins)}
    if QuantType.TWO in asked and (count := text_weights(stored, family)) < FEW_WEIGHTS:
        raise too_few_weights(checkpoint.name, count, "isq of the topology" if kind is not QuantType.TWO else "--quant")
    others, main, count = accelerators(options), str(device), len(need.layers)
    limits = memory_limits(options, others, main)
    available = AvailableMemory(limits)
    if topology is not None:
        topology.require_layers(count)
    if options.device_layers is not None:
        chosen = MemoryPlan(by_counts(options.device_layers, count, others), need, available)
    elif topology is not None and topology.places:
        chosen = MemoryPlan(by_topology(topology, count, others, main), need, available)
    else:
        spill = ["disk"] if "disk" in limits else []
        orders = [[*others, "cpu", *spill], ["cpu", *spill]] if others else [["cpu", *spill]]

        def fit(need: MemoryNeeds) -> MemoryPlan:
            return min(
                (MemoryPlan(fill(need, order, available), need, available) for order in orders),
                key=lambda it: it.shortage,
            )

        chosen = fit(need)
        if chosen.placement.offloaded or (others and chosen.placement.rest == "cpu"):
            chosen = replace(chosen, note=f"not all of the model fits on {main}: {chosen.placement.summary}")
        if chosen.shortage:
            lighter = {
                f"--quant {fewer}": planned(options, fewer)
                for fewer in FEWER_BITS
                if kind is None or fewer.memory_bits < kind.memory_bits
            }
            shorter = replace(options, max_seq_len=options.max_seq_len // 4)
            lighter[f"--max-seq-len {shorter.max_seq_len}"] = planned(shorter, kind)
            chosen = replace(chosen, advice=advise(lighter, fit, chosen))
    return replace(chosen, pins=pinned.pins, note="; ".join(filter(None, (chosen.note, cached))) or None)


class AvailableMemory(dict[str, int]):
    """Bytes each device has: the user's limits, else what is free when it is first read."""

    def __missing__(self, device: str) -> int:
        self[device] = free_memory(device)
        return self[device]


def demand(need: MemoryNeeds, placement: Placement) -> dict[str, int]:
    """Bytes needed on every device.

    Layers that lie where nothing computes are brought to the main device one at a time, and their cache is there.
    """
    main = placement.rest
    found = {main: need.rest + need.activations}
    carried = 0
    for device, weights, cache in zip(placement.layers, need.layers, need.cache, strict=True):
        resting = placement.rests(device)
        found[device] = found.get(device, 0) + weights
        place = main if resting else device
        found[place] = found.get(place, 0) + cache
        carried = max(carried, weights if resting else 0)
    found[main] += carried
    return found


def shortage(need: MemoryNeeds, placement: Placement, available: Mapping[str, int]) -> int:
    """Bytes that do not fit, over all devices."""
    return sum(max(0, wanted - available[device]) for device, wanted in demand(need, placement).items())


def fill(need: MemoryNeeds, order: Sequence[str], available: Mapping[str, int]) -> Placement:
    """Layers on the first device while they fit, then on the next; the last device takes the rest."""
    main, last, count = order[0], order[-1], len(need.layers)
    whole = Placement((main,) * count, main)
    if not shortage(need, whole, available):
        return whole
    placed: list[str] = []
    for device in order[:-1]:
        while len(placed) < count:
            trial = Placement((*placed, device, *[last] * (count - len(placed) - 1)), main)
            wanted = demand(need, trial)
            if any(wanted.get(each, 0) > available[each] for each in {main, device}):
                break
            placed.append(device)
    return Placement((*placed, *[last] * (count - len(placed))), main)


def advise(lighter: Mapping[str, MemoryNeeds], fit: Callable[[MemoryNeeds], MemoryPlan], chosen: MemoryPlan) -> str:
    """What would help: fewer bits or a shorter context if that fits, else the disk if that does."""
    helping = [flag for flag, need in lighter.items() if not fit(need).shortage]
    if helping:
        return f"This would fit: {' or '.join(helping)}."
    main = chosen.placement.rest
    available = {main: chosen.available[main], "disk": free_memory("disk")}
    resting = Placement(("disk",) * len(chosen.need.layers), main)
    if shortage(chosen.need, resting, available):
        return "Take a smaller model, or a machine with more memory."
    limits = f"{main.removeprefix('cuda:')}:{chosen.available[main] >> 20}MiB;disk:{(chosen.need.weights >> 30) + 1}GiB"
    return f'Slowly, from the disk: --max-memory "{limits}". Or take a smaller model.'


def require_memory(name: str, plan: MemoryPlan, options: ModelOptions) -> None:
    """Raise ``OutOfMemory`` that says by how much a model does not fit, and what would help."""
    if plan.shortage:
        raise OutOfMemory(
            f"{name} does not fit: it needs {plan.summary(options)}.",
            plan.advice or "Place fewer layers there, or raise --max-memory if you know better.",
        )


def require_spreadable(name: str, stored: Mapping[str, Any], placement: Placement) -> None:
    """Refuse to spread what bitsandbytes packed over memory and disk: its layers cannot rest where nothing computes.

    Raises ``QuantizationError``.
    """
    if method(stored) == "bitsandbytes" and placement.offloaded:
        raise QuantizationError(
            f"{name} is already quantized (bitsandbytes), and such layers cannot rest on cpu or disk "
            f"({placement.summary}).",
            "Keep it on devices that compute, or use the original checkpoint with --quant 4, which can be spread.",
        )
