"""From options to a speech model: small models, whole on one device."""

from __future__ import annotations

from ..errors import OptionError
from ..options import ModelOptions
from . import LoadedModel, load_processor
from .checkpoint import Checkpoint, fetch_weights
from .devices import choose_device, choose_dtype, limit_threads
from .model import configuration, require_weights
from .placement import Placement
from .translation import map_errors

NOT_TAKEN = ("quant", "isq", "device_layers", "topology", "max_memory")


def load_speech(checkpoint: Checkpoint, options: ModelOptions) -> LoadedModel:
    """Read the weights and the processor.

    The checkpoint's generation configuration stays with the model: it has the tokens of languages, tasks and times.
    Raises ``ModelError`` and its kinds, and ``OptionError`` for options that nothing here follows.
    """
    for name in NOT_TAKEN:
        if getattr(options, name) is not None:
            raise OptionError(
                f"--{name.replace('_', '-')} does nothing for {checkpoint.family.name}: it runs whole on one device.",
                "Leave it out.",
            )
    processor = load_processor(checkpoint, options)
    folder = fetch_weights(checkpoint, options)
    with map_errors(checkpoint.name, checkpoint.folder):
        import transformers

        limit_threads(options)
        device = choose_device(options)
        model, found = getattr(transformers, checkpoint.family.automodel).from_pretrained(
            folder,
            config=configuration(checkpoint, folder, options),
            output_loading_info=True,
            dtype=choose_dtype(options, device, folder),
        )
        require_weights(checkpoint.name, found["missing_keys"])
        model.to(device).eval()
    return LoadedModel(
        model=model,
        processor=processor,
        family=checkpoint.family,
        name=checkpoint.name,
        device=device,
        context_length=checkpoint.family.context_length,
        end_tokens=frozenset(),
        sampling={},
        placement=Placement((), str(device)),
    )
