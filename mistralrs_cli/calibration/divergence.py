"""How far a quantized model is from the whole one on what it was not calibrated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .progress import Progress
from .prompts import Piece, Prompts

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine.runner.model_runner import ModelRunner

MEMORY = 128 << 20  # bytes of log probabilities that are kept of one piece


def logprobs(runner: ModelRunner, prompts: Prompts, piece: Piece) -> Tensor:
    """The log probabilities of next tokens, float32 [positions, vocabulary]: of text, evenly spread."""
    import torch

    inputs, adapter = prompts.inputs(piece)
    logits = run(runner, inputs, adapter, every=True)[0]
    family, ids = prompts.family, inputs["input_ids"][0]
    placeholders = [token for kind in family.modalities for token in family.placeholder_ids(prompts.processor, kind)]
    positions = (~torch.isin(ids, torch.tensor(placeholders, dtype=ids.dtype))).nonzero().squeeze(-1)
    most = max(1, MEMORY // (4 * logits.shape[-1]))
    positions = positions[:: -(-len(positions) // most)]
    found: Tensor = logits[positions.to(logits.device)].float().log_softmax(-1).cpu()
    return found


def run(runner: ModelRunner, inputs: dict[str, Any], adapter: Any, *, every: bool = False) -> Any:
    """A prompt through the model: the logits of its last position, or of all."""
    import torch

    with torch.no_grad():
        begun = runner.begin(inputs, adapter, every=every, check_cancelled=never)
        found = runner.advance(begun, adapter, None, check_cancelled=never)
    assert found is not None
    return found[1]


def never() -> None:
    """There is nothing to cancel; Ctrl-C ends the process."""


def keep_references(runner: ModelRunner, prompts: Prompts, pieces: tuple[Piece, ...], progress: Progress) -> None:
    """Ask the whole model about held-out pieces, as far as an earlier run has not."""
    for index, piece in enumerate(pieces):
        if not progress.reference(index):
            progress.keep_reference(index, {"logprobs": logprobs(runner, prompts, piece)})


def divergence(runner: ModelRunner, prompts: Prompts, pieces: tuple[Piece, ...], progress: Progress) -> float:
    """The mean Kullback-Leibler divergence from the whole model over all positions of held-out pieces."""
    total = count = 0.0
    for index, piece in enumerate(pieces):
        wanted = progress.reference(index)["logprobs"]
        found = logprobs(runner, prompts, piece)
        total += float((wanted.exp() * (wanted - found)).sum())
        count += len(wanted)
    return total / count
