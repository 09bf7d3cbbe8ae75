"""From files to a quantized checkpoint: measure on the whole model, quantize, and compare on what was held out."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..loading import (
    Checkpoint,
    LoadedModel,
    load,
    load_processor,
    open_checkpoint,
    plan,
    quantize,
    requested_type,
    require_new,
)
from ..loading.checkpoint import fetch_weights
from ..loading.devices import choose_device
from ..loading.memory_plan import require_memory
from ..loading.quantization import QuantType
from ..loading.quantization.mixes import mixed
from ..loading.weights import weight_files
from ..options import MediaPolicy, ModelOptions
from .divergence import divergence, keep_references, run
from .observe import observing
from .progress import Progress
from .prompts import Pieces, Prompts
from .sources import Sample

UNSEARCHED = frozenset({QuantType.INT8, QuantType.Q8_0, QuantType.NF4, QuantType.FP4})

Report = Callable[[str], None]
"""Called with what is being done."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """``files`` as the user named them, their ``samples``, and the most ``tokens`` of text to take."""

    files: tuple[str, ...]
    samples: tuple[Sample, ...]
    tokens: int


def quantize_calibrated(
    checkpoint: Checkpoint,
    options: ModelOptions,
    target: Path,
    calibration: Calibration,
    policy: MediaPolicy,
    report: Report,
) -> tuple[str, ...]:
    """``loading.quantize`` with the columns of every weight counted by what goes through them. Returns notes.

    The model in full precision, or what of it does not fit in memory, is read from the disk a layer at a time. What is
    measured is kept after every piece: the same call goes on where a killed one was.
    """
    require_searched(options)
    require_new(target)
    whole = replace(options, isq=None, quant=None, isq_organization="default")
    folder = fetch_weights(checkpoint, options)
    if (small := plan(checkpoint, options)) is not None:
        require_memory(checkpoint.name, small, options)
    processor = load_processor(checkpoint, whole)
    prompts = Prompts(checkpoint.family, checkpoint.name, processor, policy)
    report("Reading what to calibrate with")
    pieces = prompts.pieces(calibration.samples, calibration.tokens)
    progress = Progress.of(facts(checkpoint, folder, options, calibration))
    notes = measure(checkpoint, spilled(checkpoint, whole), prompts, pieces, progress, report)
    gc.collect()  # what a caught error left may hold on to the whole model

    def compared(model: LoadedModel) -> float:
        from ..engine.runner.model_runner import ModelRunner

        report("Comparing with the whole model")
        return divergence(ModelRunner(model), prompts, pieces.held_out, progress)

    def quantizing(done: int, total: int) -> None:
        report(f"Quantizing weights, {done} of {total}")

    before = compared(load(checkpoint, options, quantizing, processor))
    importance = progress.sums.importance()
    notes += quantize(checkpoint, options, target, quantizing, importance)
    written = of_written(whole, target)
    after = compared(load(open_checkpoint(written), written, processor=processor))
    where = "on held-out data" if pieces.apart else "on the same data, for want of more"
    notes += (f"KL divergence from the whole model {where}: {before:.4f} without calibration, {after:.4f} with it",)
    if not after < before:
        shutil.rmtree(target)
        quantize(checkpoint, options, target, quantizing)
        notes += ("calibration did not help here, so what was written is quantized without it",)
    progress.remove()
    return notes


def require_searched(options: ModelOptions) -> None:
    """Raise ``OptionError`` for a type whose scales are not searched for, which calibration cannot change."""
    _, kind = requested_type(options)
    if mixed(kind, "up_proj.weight", choose_device(options).type) in UNSEARCHED:
        raise OptionError(
            f"--calibrate changes nothing in weights of type {kind}, whose scales follow from the largest weights.",
            "Leave it out, or use --isq q6k, q5k, q4k or q3k.",
        )


def facts(checkpoint: Checkpoint, folder: Path, options: ModelOptions, calibration: Calibration) -> dict[str, Any]:
    """What decides the sums of a calibration, and tells it from others; the type, since they may run side by side."""
    weights = [file.resolve() for file in weight_files(folder, checkpoint.name)]
    given = [Path(name).expanduser().resolve() for name in calibration.files]
    return {
        "config": checkpoint.config,
        "slice": checkpoint.slice and checkpoint.slice.name,
        "dtype": options.dtype,
        "type": options.isq,
        "tokens": calibration.tokens,
        "files": [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in (*weights, *given)],
    }


def spilled(checkpoint: Checkpoint, options: ModelOptions) -> ModelOptions:
    """The options with room on the disk for the layers that fit nowhere else."""
    memory = plan(checkpoint, options)
    if memory is None or not memory.shortage or options.max_memory or options.device_layers or options.topology:
        return options
    return replace(options, max_memory=f"disk:{(memory.need.weights >> 30) + 1}GiB")


def of_written(options: ModelOptions, target: Path) -> ModelOptions:
    """The options that load what was written to ``target``: of it nothing is left to be cut."""
    return replace(options, model_id=str(target), matformer_config_path=None, matformer_slice_name=None)


def measure(
    checkpoint: Checkpoint, options: ModelOptions, prompts: Prompts, pieces: Pieces, progress: Progress, report: Report
) -> tuple[str, ...]:
    """Run everything through the whole model that an earlier run has not. Returns notes."""
    notes: tuple[str, ...] = ()
    if pieces.used < pieces.text_tokens:
        notes += (f"{pieces.used:,} of {pieces.text_tokens:,} tokens of text are used, evenly spread",)
    missing = [index for index in range(len(pieces.held_out)) if not progress.reference(index)]
    if progress.pieces < len(pieces.calibration) or missing:
        from ..engine.runner.model_runner import ModelRunner

        report(f"Loading {checkpoint.name}")
        loaded = load(checkpoint, options, processor=prompts.processor, observable=True)
        runner = ModelRunner(loaded)
        report("Reading what is held out")
        keep_references(runner, prompts, pieces.held_out, progress)
        done = sum(piece.tokens for piece in pieces.calibration[: progress.pieces])
        if done:
            notes += (f"going on after {done:,} of {pieces.tokens:,} tokens, which an earlier run has calibrated with",)
        for piece in pieces.calibration[progress.pieces :]:
            report(f"Calibrating, {done:,} of {pieces.tokens:,} tokens")
            with observing(loaded.model, progress.sums):
                run(runner, *prompts.inputs(piece))
            progress.done()
            done += piece.tokens
    return (*notes, f"calibrated with {pieces.tokens:,} tokens", *experts_note(progress))


def experts_note(progress: Progress) -> tuple[str, ...]:
    """How many experts have seen too little; nothing for models without any."""
    experts, few, fewest = progress.sums.experts()
    if not experts:
        return ()
    if not few:
        return (f"each of {experts:,} experts has seen {fewest:,} tokens or more",)
    return (f"{few:,} of {experts:,} experts have seen too few tokens and are quantized without calibration",)
