"""From options to a model that can answer. A flat recipe: each concern is one pure function."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, QuantizationError, reason
from ..families import Family
from ..named_files import named_text
from ..options import ModelOptions
from ..sizes import readable
from . import compat
from .checkpoint import Checkpoint, fetch_weights, hub_token, open_checkpoint, require_small_files, tokenizer_of
from .devices import OffloadFolder, choose_device, choose_dtype, limit_threads
from .matformer import requested_slice
from .memory_plan import MemoryPlan, check_placement, plan_placement, require_memory, require_spreadable
from .model import default_context, end_tokens, read_model, take_sampling, unsupported_sampling
from .placement import Placement
from .quantization import QuantizationRequest, QuantType, parse_quantization, parse_type
from .quantization.prequantized import require_readable, stored_quantization
from .quantization.writer import as_written, copy_folder, is_whole, write_checkpoint
from .template import family_template, override
from .torchvision import ensure_importable
from .translation import map_errors

if TYPE_CHECKING:
    import torch

    from .quantization.loader import Progress

__all__ = ["Checkpoint", "LoadedModel", "load", "load_processor", "open_checkpoint", "requested_type", "require_new"]

AUTO = ("8", "6", "5", "q5k", "4", "q4k", "3", "q3k")
"""What ``auto`` tries, from the largest in memory to the smallest."""


@dataclass(frozen=True)
class LoadedModel:
    """A model, its processor, and what is known about them. ``sampling`` is the checkpoint's own advice.

    ``device`` is that of the model's inputs and outputs; ``placement`` says where the layers lie. ``max_images`` is
    the most images a request may hold. ``notes`` are lines that a user should see, on what was done to the weights.
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
    request = parse_quantization(options)
    if request is not None and request.notice is not None:
        notices.append(request.notice)
    override(options)
    requested_slice(options)
    check_names(options)
    topology = check_placement(options)
    named = [parse_type(name).notice for name in dict.fromkeys(topology.types if topology else ()) if name != "none"]
    notices += [notice for notice in named if notice is not None]
    if options.matformer_config_path is not None and options.matformer_slice_name is None:
        notices.append(
            "--matformer-config-path without --matformer-slice-name changes nothing: the whole model is loaded"
        )
    return tuple(notices)


def check_names(options: ModelOptions) -> None:
    """Raise ``OptionError`` for a token source, tokenizer, cache or revision that cannot be one."""
    hub_token(options.token_source)
    if options.tokenizer is not None:
        read_tokenizer("--tokenizer", options.tokenizer)
    if (other := options.tok_model_id) is not None and not Path(other).expanduser().is_dir() and other.count("/") != 1:
        raise OptionError(
            f"--tok-model-id: {other} is neither a folder nor a model of the hub.", "Hub models are written OWNER/NAME."
        )
    if options.hf_cache is not None and Path(options.hf_cache).expanduser().is_file():
        raise OptionError(f"--hf-cache: {options.hf_cache} is a file.", "Name a folder.")
    if options.revision is not None and not options.revision.strip():
        raise OptionError("--revision is empty.", "Name a branch, tag or commit, or leave it out for the newest.")


def load_processor(checkpoint: Checkpoint, options: ModelOptions) -> Any:
    """The checkpoint's processor (for text models its tokenizer) with the chat template the user wants."""
    if not options.trust_remote_code:  # which may bring a tokenizer and a processor of any form
        require_small_files(checkpoint, options)
    with map_errors(checkpoint.name, checkpoint.folder):
        ensure_importable()
        family = checkpoint.family
        family.register()
        processor = family.load_processor(checkpoint.folder, trust_remote_code=options.trust_remote_code)
        if options.tok_model_id is not None:
            replace_tokenizer(processor, "--tok-model-id", tokenizer_of(options.tok_model_id, options))
        elif options.tokenizer is not None:
            replace_tokenizer(processor, "--tokenizer", options.tokenizer)
    template = override(options)
    if template is not None:
        processor.chat_template = template
    elif not getattr(processor, "chat_template", None):
        own = processor.tokenizer.chat_template if hasattr(processor, "tokenizer") else None
        processor.chat_template = own or family_template(checkpoint.family)
    return processor


def replace_tokenizer(processor: Any, option: str, file: str) -> None:
    """Use the vocabulary of another ``tokenizer.json``, which ``option`` names."""
    tokenizer = getattr(processor, "tokenizer", processor)
    compat.replace_vocabulary(tokenizer, read_tokenizer(option, file))


def read_tokenizer(option: str, file: str) -> Any:
    """A ``tokenizer.json``. Raises ``OptionError`` for a file that is none."""
    from tokenizers import Tokenizer

    text = named_text(option, file, "Name a tokenizer.json file.")
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises bare Exception
        raise OptionError(f"{option}: {file} is not a tokenizer.json.", "Name a tokenizer.json file.") from error


def plan(checkpoint: Checkpoint, options: ModelOptions) -> MemoryPlan | None:
    """Where ``load`` would put a checkpoint and what it would need; ``None`` where its weights are not at hand.

    Raises ``QuantizationError`` for options that a checkpoint which comes quantized cannot follow.
    """
    with map_errors(checkpoint.name, checkpoint.folder):
        stored = usable_quantization(checkpoint, options)
        if not list(checkpoint.folder.glob("*.safetensors")):
            return None
        device = choose_device(options)
        dtype = choose_dtype(options, device, checkpoint.folder)
        memory = plan_placement(checkpoint, options, checkpoint.folder, device, dtype)
        if stored is not None:
            require_spreadable(checkpoint.name, stored, memory.placement)
        return memory


def usable_quantization(checkpoint: Checkpoint, options: ModelOptions) -> Mapping[str, Any] | None:
    """What a checkpoint that comes quantized says about it; ``None`` for others.

    Raises ``QuantizationError`` where it cannot be read, or where the options want something else made of it.
    """
    stored = stored_quantization(checkpoint.config)
    if stored is None:
        return None
    ensure_importable()
    require_readable(checkpoint.name, stored, parse_quantization(options))
    topology = check_placement(options)
    if topology is not None and topology.pins:
        raise QuantizationError(
            f"{checkpoint.name} is already quantized; the isq of the topology cannot be applied.",
            "Leave isq out of it, or name the original checkpoint with -m.",
        )
    return stored


def load(
    checkpoint: Checkpoint,
    options: ModelOptions,
    progress: Progress | None = None,
    processor: Any = None,
    *,
    observable: bool = False,
) -> LoadedModel:
    """Read the weights and everything around them. ``progress`` is called for each weight that is quantized.

    ``processor`` is what ``load_processor`` returned for the same options, where that was called already. An
    ``observable`` model in full precision has experts that can be watched (``quantization.layers.QuantizedExperts``).

    Raises ``ModelError`` and its kinds; nothing of torch or transformers escapes untranslated.
    """
    request = parse_quantization(options)
    chosen: tuple[str, ...] = ()
    family = checkpoint.family
    processor = load_processor(checkpoint, options) if processor is None else processor
    with map_errors(checkpoint.name, checkpoint.folder):
        stored = usable_quantization(checkpoint, options)
    folder = fetch_weights(checkpoint, options)
    with map_errors(checkpoint.name, checkpoint.folder):
        import torch

        from .quantization.apply import cache_copy, describe, finalize, quantization_for
        from .quantization.loader import reporting

        limit_threads(options)
        device = choose_device(options)
        dtype = choose_dtype(options, device, folder)
        if request is not None and request.type is None and stored is None:
            options, chosen = most_bits(checkpoint, options, folder, device, dtype)
            request = parse_quantization(options)
        memory = plan_placement(checkpoint, options, folder, device, dtype)
        require_memory(checkpoint.name, memory, options)
        device = torch.device(memory.placement.rest)
        source, copy = checkpoint, None
        if stored is not None:
            require_spreadable(checkpoint.name, stored, memory.placement)
            request = None
        elif request is not None and request.keep:
            copy = copy_folder(checkpoint, folder, request, device, memory.pins)
            if is_whole(copy):
                source, request = as_written(checkpoint, copy), None
        pins = memory.pins if source is checkpoint else ()
        quantization = quantization_for(request, device, pins, observable=observable)
        offload = OffloadFolder() if "disk" in memory.placement.devices else None
        weights = source.folder if source is not checkpoint else folder
        with reporting(progress):
            model = read_model(source, weights, options, dtype, quantization, memory.placement, offload)
        notes = (
            describe(model, checkpoint, folder)
            if source is checkpoint
            else (f"the weights are the copy in {source.folder} kept by an earlier run",)
        )
        if request is not None and copy is not None:
            notes += cache_copy(model, checkpoint, folder, copy, request.option)
        family.complete(model, folder)
        model.eval()
        model.offload = offload  # its files last as long as the model
        written = copy if copy is not None and is_whole(copy) else weights if stored is not None else None
        notes += finalize(model, written)
    tokenizer = getattr(processor, "tokenizer", processor)
    notes += unsupported_sampling(model)
    return LoadedModel(
        model=model,
        processor=processor,
        family=family,
        name=checkpoint.name,
        device=device,
        context_length=family.context_length or default_context(model),
        end_tokens=end_tokens(model, tokenizer),
        sampling=take_sampling(model),
        placement=memory.placement,
        max_images=options.max_num_images,
        notes=chosen + notes + (() if memory.note is None else (memory.note,)),
    )


def quantize(
    checkpoint: Checkpoint,
    options: ModelOptions,
    target: Path,
    progress: Progress | None = None,
    importance: Mapping[str, torch.Tensor] | None = None,
) -> tuple[str, ...]:
    """Write a checkpoint that is quantized as the options say, to a folder that is not there yet. Returns notes.

    ``importance`` is that of the columns of weights, by their names: float32 [in], or [experts, in].
    Raises ``OptionError`` for a folder that is there and ``ModelError`` and its kinds.
    """
    request, _ = requested_type(options)
    require_new(target)
    stored = stored_quantization(checkpoint.config)
    if stored is not None:
        require_readable(checkpoint.name, stored, replace(request, keep=False))
    folder = fetch_weights(checkpoint, options)
    with map_errors(checkpoint.name, checkpoint.folder):
        ensure_importable()
        from .quantization.apply import describe, quantization_for
        from .quantization.loader import reporting, weighing

        limit_threads(options)
        device = choose_device(options)
        dtype = choose_dtype(options, device, folder)
        quantization = quantization_for(request, device)
        placement = plan_placement(checkpoint, options, folder, device, dtype).placement
        with reporting(progress), weighing(importance):
            model = read_model(checkpoint, folder, options, dtype, quantization, placement, None)
        try:
            size = write_checkpoint(model, checkpoint, folder, target, request.option)
        except OSError as error:
            raise unwritable(target, error) from error
        return (*describe(model, checkpoint, folder), f"{readable(size)} written to {target}")


def requested_type(options: ModelOptions) -> tuple[QuantizationRequest, QuantType]:
    """The quantization that is to be written, and its type. Raises ``OptionError`` where none is named."""
    request = parse_quantization(options)
    if request is None or request.type is None:
        raise OptionError("No quantization type is given.", "Add --isq 4, or another type.")
    return request, request.type


def require_new(target: Path) -> None:
    """Raise ``OptionError`` for a folder that is there already, or cannot be made."""
    if target.exists():
        raise OptionError(f"{target} already exists.", "Name a new folder with -o.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise unwritable(target, error) from error


def unwritable(target: Path, error: OSError) -> OptionError:
    """The error for a place that cannot be written to."""
    return OptionError(f"{target} cannot be written: {reason(error)}.", "Name another folder with -o.")


def most_bits(
    checkpoint: Checkpoint, options: ModelOptions, folder: Path, device: torch.device, dtype: torch.dtype
) -> tuple[ModelOptions, tuple[str, ...]]:
    """The options with ``auto`` settled, and a note on it: full precision if all fits, else the largest type that does.

    Where not even the fewest fit, those are what is tried.
    """
    name = "quant" if options.quant is not None else "isq"
    for kind in (None, *AUTO):
        trial = replace(options, quant=kind) if name == "quant" else replace(options, isq=kind)
        trial = trial if kind else replace(trial, isq_organization="default")
        memory = plan_placement(checkpoint, trial, folder, device, dtype)
        if not memory.shortage and memory.placement.devices == {memory.placement.rest}:
            break
    said = "full precision fits"
    if kind is not None:
        said = f"{kind} bits are the most that fit" if kind.isdigit() else f"{kind} is the most that fits"
    return trial, (f"--{name} auto: {said}",)
