"""The model itself: a checkpoint's weights on their devices, and what its configurations say beside them."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedModel
from ..options import ModelOptions
from . import compat
from .checkpoint import Checkpoint
from .device_map import device_map, ordinal, skeleton
from .devices import OffloadFolder
from .placement import Placement
from .slicing import sliced_weights

if TYPE_CHECKING:
    import torch

    from .quantization.loader import Quantization

SAMPLING_KEYS = ("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens")
UNSUPPORTED_SAMPLING = {"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None}
"""What a generation configuration can ask for beside these, with the value that changes nothing."""
NOT_OURS = ("num_beams", "num_return_sequences", "max_length", "stop_strings", "guidance_scale", "cache_implementation")


def read_model(
    checkpoint: Checkpoint,
    folder: Path,
    options: ModelOptions,
    dtype: torch.dtype,
    quantization: Quantization | None,
    placement: Placement,
    offload: OffloadFolder | None,
) -> Any:
    """The model with its weights, which lie in ``folder``, on its devices."""
    import transformers

    from .meta_device import WithoutSympy

    automodel = getattr(transformers, checkpoint.family.automodel)
    config = configuration(checkpoint, folder, options)
    loader, source = weights_source(checkpoint, folder, automodel, config)
    with WithoutSympy():
        model, found = loader.from_pretrained(
            **source,
            config=config,
            output_loading_info=True,
            dtype=dtype,
            device_map=spread_over(placement, automodel, config, checkpoint, options),
            offload_folder=offload and offload.path,
            **({} if quantization is None else {"quantization_config": quantization}),  # None would undo a checkpoint's
            trust_remote_code=options.trust_remote_code,
        )
    require_weights(checkpoint.name, found["missing_keys"])
    require_positions(checkpoint.name, model)
    return model


def configuration(checkpoint: Checkpoint, folder: Path, options: ModelOptions) -> Any:
    """The configuration of a checkpoint without the attention it names: each model class has its own default.

    Published files ask for what their authors had (``"_attn_implementation": "flash_attention_2"``), at the top or for
    one part. Here every model attends with PyTorch's own function, or plainly where its class knows no other way.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    if checkpoint.slice is not None:
        config = CONFIG_MAPPING[checkpoint.config["model_type"]].from_dict(checkpoint.config)
    else:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=options.trust_remote_code)
        if checkpoint.family.part is not None:
            whole, config = config, getattr(config, checkpoint.family.part)
            if hasattr(whole, "quantization_config"):
                config.quantization_config = whole.quantization_config
    clear_attention(config)
    return config


def clear_attention(config: Any) -> None:
    """Remove the attention that a configuration names, also of parts that a checkpoint's own code does not declare."""
    from transformers import PretrainedConfig

    compat.set_attention(config, None)  # of its declared parts as well
    for part in vars(config).values():
        if isinstance(part, PretrainedConfig):
            clear_attention(part)


def weights_source(checkpoint: Checkpoint, folder: Path, automodel: Any, config: Any) -> tuple[Any, dict[str, Any]]:
    """Whose ``from_pretrained`` reads what: the folder, or for a MatFormer slice its weights."""
    if checkpoint.slice is None:
        return automodel, {"pretrained_model_name_or_path": folder}
    from transformers import GenerationConfig

    advised = (folder / "generation_config.json").is_file()
    source = {
        "pretrained_model_name_or_path": None,
        "state_dict": sliced_weights(folder, checkpoint.slice),
        "generation_config": GenerationConfig.from_pretrained(folder) if advised else None,
    }
    return compat.model_class(automodel, config), source  # automodels insist on a folder


def spread_over(
    placement: Placement, automodel: Any, config: Any, checkpoint: Checkpoint, options: ModelOptions
) -> dict[str, str | int]:
    """The ``device_map`` argument of ``from_pretrained``; more than one device needs the model's modules by name."""
    if placement.devices == {placement.rest}:
        return {"": ordinal(placement.rest)}
    model = skeleton(automodel, deepcopy(config), trust_remote_code=options.trust_remote_code)
    return device_map(model, placement)


def require_weights(name: str, missing: Collection[str]) -> None:
    """A weight that the files lack would be random: refuse the checkpoint instead."""
    if missing:
        raise UnsupportedModel(
            f"The files of {name} lack {len(missing)} weights, {min(missing)} among them.",
            "Download the checkpoint again; if that changes nothing, this version does not know its layout.",
        )


def require_positions(name: str, model: Any) -> None:
    """Decoding states each row's positions and cache; a model that takes neither cannot be run here."""
    lacking = {"position_ids", "past_key_values"} - inspect.signature(model.forward).parameters.keys()
    if lacking:
        raise UnsupportedModel(
            f"{name} is a {type(model).__name__}, which takes no {' and no '.join(sorted(lacking))}.",
            "This version runs models with ordinary positions and a key-value cache.",
        )


def default_context(model: Any) -> int | None:
    """The context length of a configuration that leaves it to its class, as Gemma 3's do."""
    length = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return int(length) if length else None


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer, by the generation configuration and the tokenizer."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*listed, tokenizer.eos_token_id] if token is not None)


def unsupported_sampling(model: Any) -> tuple[str, ...]:
    """A note on what the checkpoint advises for sampling and is not applied here."""
    found = {key: getattr(model.generation_config, key, None) for key in UNSUPPORTED_SAMPLING}
    names = [f"{key} {found[key]}" for key, off in UNSUPPORTED_SAMPLING.items() if found[key] not in (None, off)]
    return (
        (f"its generation_config.json asks for {', '.join(names)}: not supported here, not applied",) if names else ()
    )


def take_sampling(model: Any) -> dict[str, Any]:
    """The checkpoint's advice on sampling, removed from the model so that every request states its own.

    What concerns ``generate``'s own loop and cache goes as well (``NOT_OURS``): rows are decoded by the engine, in a
    cache that can be joined. Old Gemma checkpoints ask for a hybrid one, and trained ones are often saved without any.
    """
    advice = {key: getattr(model.generation_config, key, None) for key in SAMPLING_KEYS}
    for key in (*SAMPLING_KEYS, *UNSUPPORTED_SAMPLING, *NOT_OURS):
        setattr(model.generation_config, key, None)
    model.generation_config.do_sample = False
    model.generation_config.use_cache = True
    return {key: value for key, value in advice.items() if value is not None}
