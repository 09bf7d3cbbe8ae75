"""What a model would be given for a prompt, and how it would be loaded: no weights are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..messages import Message
from ..options import ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.report import Detail, PromptReport, prompt_object, show_object, show_prompt

if TYPE_CHECKING:
    from ..loading import Checkpoint


def report(
    checkpoint: Checkpoint,
    options: ModelOptions,
    messages: tuple[Message, ...],
    sampling: Sampling,
    console: Console,
    models: Models,
    *,
    json: bool,
) -> None:
    """Show the tokens of a prompt whose media are decoded, and the plan for the weights."""
    family = checkpoint.family
    with console.status(f"Loading the processor of {checkpoint.name}"):
        processor = models.processor(checkpoint, options)
        prepared = family.prepare(processor, messages, sampling.template_inputs)
    found = PromptReport(
        checkpoint.name,
        family.name,
        family.context_length,
        prepared.prompt_tokens,
        tuple(prepared.media),
        details(checkpoint, options, models),
    )
    if json:
        show_object(prompt_object(found), console)
    else:
        show_prompt(found, console)


def details(checkpoint: Checkpoint, options: ModelOptions, models: Models) -> tuple[Detail, ...]:
    """How the model would be loaded."""
    found = []
    if piece := checkpoint.slice:
        value = {"name": piece.name, "layers": len(piece.kept), "skipped": piece.skipped, "widths": piece.widths}
        found.append(Detail("slice", f"{piece.name}, {piece.summary}", value))
    if layout := models.plan(checkpoint, options):
        placement, need = layout.placement, layout.need
        devices = {"layers": placement.layers, "rest": placement.rest, "weights": dict(placement.pinned)}
        size = {"weights": need.weights, "cache": sum(need.cache), "activations": need.activations}
        found.append(Detail("placement", placement.summary, devices))
        found.append(Detail("memory", layout.summary(options), size | {"devices": layout.demand}))
        if layout.shortage and layout.advice:
            found.append(Detail("advice", layout.advice, layout.advice))
    return tuple(found)
