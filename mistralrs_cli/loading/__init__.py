"""From options to a model that can answer. A flat recipe: each concern is one pure function."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    MistralrsError,
    ModelError,
    OptionError,
    OutOfMemory,
    QuantizationError,
    UnsupportedModel,
    first_line,
)
from ..families import Family
from ..options import ModelOptions
from .checkpoint import Checkpoint, fetch_weights, open_checkpoint
from .cuts import sliced_weights
from .devices import OffloadFolder, choose_device, choose_dtype, limit_threads
from .layout import Layout, check_placement, lay_out, require_room
from .matformer import requested_slice
from .placement import Placement
from .quantization import parse_type, requested
from .quantization.existing import require_readable, stored_quantization
from .quantization.written import as_written, is_whole, kept_folder, write_checkpoint
from .stack import device_map, ordinal, skeleton
from .template import family_template, override
from .torchvision import ensure_importable

if TYPE_CHECKING:
    import torch

    from .quantization.loader import Progress, Quantization

__all__ = ["Checkpoint", "LoadedModel", "load", "load_processor", "open_checkpoint"]

AUTO_BITS = (8, 6, 5, 4, 3, 2)
SAMPLING_KEYS = ("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens")
NOT_OURS = ("num_beams", "num_return_sequences", "max_length", "stop_strings", "guidance_scale", "cache_implementation")


@dataclass(frozen=True)
class LoadedModel:
    """A model, its processor, and what is known about them. ``sampling`` is the checkpoint's own advice.

    ``device`` takes what goes in and gives what comes out; ``placement`` says where the layers lie. ``max_images`` is
    the most pictures a request may hold. ``notes`` are lines that a user should see, on what was done to the weights.
    """

    model: Any
    processor: Any
    family: Family
    name: str
    device: torch.device
    context_length: int | None
    end_tokens: frozenset[int]
    sampling: dict[str, Any]
    placement: Placement
    max_images: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer inside the processor, or the processor itself for text models."""
        return getattr(self.processor, "tokenizer", self.processor)


def check(options: ModelOptions) -> tuple[str, ...]:
    """Refuse options that cannot work before anything is read. Returns what is worth a note."""
    notices = []
    wish = requested(options)
    if wish is not None and wish.notice is not None:
        notices.append(wish.notice)
    override(options)
    requested_slice(options)
    topology = check_placement(options)
    named = [parse_type(name).notice for name in dict.fromkeys(topology.types if topology else ()) if name != "none"]
    notices += [notice for notice in named if notice is not None]
    if options.matformer_config_path is not None and options.matformer_slice_name is None:
        notices.append(
            "--matformer-config-path without --matformer-slice-name changes nothing: the whole model is loaded"
        )
    return tuple(notices)


def load_processor(checkpoint: Checkpoint, options: ModelOptions) -> Any:
    """The checkpoint's processor (for text models its tokenizer) with the chat template the user wants."""
    with translated(checkpoint.name):
        ensure_importable()
        family = checkpoint.family
        family.register()
        processor = family.load_processor(checkpoint.folder, trust_remote_code=options.trust_remote_code)
        if options.tokenizer is not None:
            replace_tokenizer(processor, options.tokenizer)
    template = override(options)
    if template is not None:
        processor.chat_template = template
    elif not getattr(processor, "chat_template", None):
        own = processor.tokenizer.chat_template if hasattr(processor, "tokenizer") else None
        processor.chat_template = own or family_template(checkpoint.family)
    return processor


def replace_tokenizer(processor: Any, file: str) -> None:
    """Use the vocabulary of another ``tokenizer.json``."""
    from tokenizers import Tokenizer

    tokenizer = getattr(processor, "tokenizer", processor)
    try:
        tokenizer._tokenizer = Tokenizer.from_file(str(Path(file).expanduser()))
    except Exception as error:  # tokenizers raises bare Exception
        raise UnsupportedModel(
            f"The tokenizer {file} cannot be read: {error}", "Name a tokenizer.json file."
        ) from error


def plan(checkpoint: Checkpoint, options: ModelOptions) -> Layout | None:
    """Where ``load`` would put a checkpoint and what it would need; ``None`` where its weights are not at hand."""
    if not list(checkpoint.folder.glob("*.safetensors")):
        return None
    with translated(checkpoint.name):
        device = choose_device(options)
        dtype = choose_dtype(options, device, checkpoint.folder)
        return lay_out(checkpoint, options, checkpoint.folder, device, dtype)


def load(checkpoint: Checkpoint, options: ModelOptions, progress: Progress | None = None) -> LoadedModel:
    """Read the weights and everything around them. ``progress`` is told of weights as they are quantized.

    Raises ``ModelError`` and its kinds; nothing of torch or transformers escapes untranslated.
    """
    wish, stored = requested(options), stored_quantization(checkpoint.config)
    chosen: tuple[str, ...] = ()
    family = checkpoint.family
    processor = load_processor(checkpoint, options)
    folder = fetch_weights(checkpoint, options)
    with translated(checkpoint.name):
        import torch

        from .quantization.apply import keep, quantization_for, settle, told

        limit_threads(options)
        device = choose_device(options)
        dtype = choose_dtype(options, device, folder)
        if wish is not None and wish.type is None and stored is None:
            options, chosen = most_bits(checkpoint, options, folder, device, dtype)
            wish = requested(options)
        layout = lay_out(checkpoint, options, folder, device, dtype)
        require_room(checkpoint.name, layout, options)
        device = torch.device(layout.placement.rest)
        source, copy = checkpoint, None
        if stored is not None:
            require_readable(checkpoint.name, stored, wish)
            if layout.pins:
                raise QuantizationError(
                    f"{checkpoint.name} is quantized already: the topology's isq cannot be made from that.",
                    "Leave isq out of it, or name the original checkpoint with -m.",
                )
            wish = None
        elif wish is not None and wish.keep:
            copy = kept_folder(checkpoint, folder, wish, device, layout.pins)
            if is_whole(copy):
                source, wish = as_written(checkpoint, copy), None
        quantization = quantization_for(wish, device, progress, layout.pins if source is checkpoint else ())
        offload = OffloadFolder() if "disk" in layout.placement.devices else None
        weights = source.folder if source is not checkpoint else folder
        model = read_model(source, weights, options, dtype, quantization, layout.placement, offload)
        notes = (
            told(model)
            if source is checkpoint
            else (f"the weights are the copy in {source.folder} kept by an earlier run",)
        )
        if wish is not None and copy is not None:
            notes += keep(model, checkpoint, folder, copy, wish.option)
        family.complete(model, folder)
        model.eval()
        model.offload = offload  # its files last as long as the model
        settle(model)
    tokenizer = getattr(processor, "tokenizer", processor)
    return LoadedModel(
        model=model,
        processor=processor,
        family=family,
        name=checkpoint.name,
        device=device,
        context_length=family.context_length or default_context(model),
        end_tokens=end_tokens(model, tokenizer),
        sampling=take_sampling(model),
        placement=layout.placement,
        max_images=options.max_num_images,
        notes=chosen + notes + (() if layout.note is None else (layout.note,)),
    )


def quantize(
    checkpoint: Checkpoint, options: ModelOptions, target: Path, progress: Progress | None = None
) -> tuple[str, ...]:
    """Write a checkpoint that is quantized as the options say, to a folder that is not there yet. Returns notes.

    Raises ``OptionError`` for a folder that is there and ``ModelError`` and its kinds.
    """
    wish = requested(options)
    if wish is None or wish.type is None:
        raise OptionError("Quantize to what?", "Say --isq 4, or another type.")
    if target.exists():
        raise OptionError(f"{target} is there already.", "Name a new folder with -o.")
    stored = stored_quantization(checkpoint.config)
    if stored is not None:
        require_readable(checkpoint.name, stored, replace(wish, keep=False))
    folder = fetch_weights(checkpoint, options)
    with translated(checkpoint.name):
        ensure_importable()
        from .quantization.apply import quantization_for, readable, told

        limit_threads(options)
        device = choose_device(options)
        dtype = choose_dtype(options, device, folder)
        quantization = quantization_for(wish, device, progress)
        placement = lay_out(checkpoint, options, folder, device, dtype).placement
        model = read_model(checkpoint, folder, options, dtype, quantization, placement, None)
        try:
            size = write_checkpoint(model, checkpoint, folder, target, wish.option)
        except OSError as error:
            raise OptionError(f"{target} cannot be written: {error}", "Name another folder with -o.") from error
        return (*told(model), f"{readable(size)} written to {target}")


def most_bits(
    checkpoint: Checkpoint, options: ModelOptions, folder: Path, device: torch.device, dtype: torch.dtype
) -> tuple[ModelOptions, tuple[str, ...]]:
    """The options with ``auto`` settled, and a note on it: full precision if all fits, else the most bits that do.

    Where not even the fewest fit, those are what is tried.
    """
    name = "quant" if options.quant is not None else "isq"
    for bits in (None, *map(str, AUTO_BITS)):
        trial = replace(options, quant=bits) if name == "quant" else replace(options, isq=bits)
        layout = lay_out(checkpoint, replace(trial, isq_organization="default"), folder, device, dtype)
        if not layout.shortage and layout.placement.devices == {layout.placement.rest}:
            break
    trial = trial if bits else replace(trial, isq_organization="default")
    said = f"{bits} bits are the most that fit" if bits else "full precision fits"
    return trial, (f"--{name} auto: {said}",)


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

    automodel = getattr(transformers, checkpoint.family.automodel)
    loader, source = weights_source(checkpoint, folder, automodel)
    model, found = loader.from_pretrained(
        **source,
        output_loading_info=True,
        dtype=dtype,
        device_map=spread_over(placement, automodel, source.get("config"), checkpoint, options),
        offload_folder=offload and offload.path,
        **({} if quantization is None else {"quantization_config": quantization}),  # None would undo a checkpoint's
        trust_remote_code=options.trust_remote_code,
    )
    refuse_missing(checkpoint.name, found["missing_keys"])
    refuse_unsteerable(checkpoint.name, model)
    return model


def weights_source(checkpoint: Checkpoint, folder: Path, automodel: Any) -> tuple[Any, dict[str, Any]]:
    """Whose ``from_pretrained`` reads what: the folder, or for a MatFormer slice its configuration and weights."""
    if checkpoint.slice is None:
        return automodel, {"pretrained_model_name_or_path": folder}
    from transformers import CONFIG_MAPPING, GenerationConfig

    config = CONFIG_MAPPING[checkpoint.config["model_type"]].from_dict(checkpoint.config)
    advised = (folder / "generation_config.json").is_file()
    source = {
        "pretrained_model_name_or_path": None,
        "config": config,
        "state_dict": sliced_weights(folder, checkpoint.slice),
        "generation_config": GenerationConfig.from_pretrained(folder) if advised else None,
    }
    return automodel._model_mapping[type(config)], source  # automodels insist on a folder


def spread_over(
    placement: Placement, automodel: Any, config: Any | None, checkpoint: Checkpoint, options: ModelOptions
) -> dict[str, str | int]:
    """The ``device_map`` argument of ``from_pretrained``; more than one device needs the model's modules by name."""
    if placement.devices == {placement.rest}:
        return {"": ordinal(placement.rest)}
    from transformers import AutoConfig

    remote = options.trust_remote_code
    config = config or AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=remote)
    return device_map(skeleton(automodel, config, trust_remote_code=remote), placement, checkpoint.family.towers)


def refuse_missing(name: str, missing: Collection[str]) -> None:
    """A weight that the files lack would be random: refuse the checkpoint instead."""
    if missing:
        raise UnsupportedModel(
            f"The files of {name} lack {len(missing)} weights, {min(missing)} among them.",
            "Download the checkpoint again; if that changes nothing, this version does not know its layout.",
        )


def refuse_unsteerable(name: str, model: Any) -> None:
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


def take_sampling(model: Any) -> dict[str, Any]:
    """The checkpoint's advice on sampling, removed from the model so that every request states its own.

    What concerns ``generate``'s own loop and cache goes as well (``NOT_OURS``): rows are decoded by the engine, in a
    cache that can be joined. Old Gemma checkpoints ask for a hybrid one, and trained ones are often saved without any.
    """
    advice = {key: getattr(model.generation_config, key, None) for key in SAMPLING_KEYS}
    for key in (*SAMPLING_KEYS, *NOT_OURS):
        setattr(model.generation_config, key, None)
    model.generation_config.do_sample = False
    model.generation_config.use_cache = True
    return {key: value for key, value in advice.items() if value is not None}


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what torch, transformers and safetensors raise while loading into our own errors, and keep them quiet."""
    logger = logging.getLogger("transformers")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            silence_bars()
            yield
    except MistralrsError:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"{name} does not fit in memory.", "Try --quant 4, or a smaller model.") from error
    except Exception as error:
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
            raise OutOfMemory(f"{name} does not fit in memory.", "Try --quant 4, --cpu, or a smaller model.") from error
        if isinstance(error, (ValueError, KeyError, ImportError)):
            raise UnsupportedModel(
                f"{name} cannot be loaded: {first_line(error)}", "MISTRALRS_DEBUG=1 shows the whole story."
            ) from error
        raise ModelError(
            f"Loading {name} failed: {first_line(error)}", "If files may be damaged, download the checkpoint again."
        ) from error
    finally:
        logger.setLevel(level)


def silence_bars() -> None:
    """Loading draws no bars of its own; downloads keep theirs."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
