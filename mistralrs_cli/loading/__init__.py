"""From options to a model that can answer. A flat recipe: each concern is one pure function."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MistralrsError, ModelError, OutOfMemory, UnsupportedModel, first_line
from ..families import Family
from ..options import ModelOptions
from .checkpoint import Checkpoint, fetch_weights, open_checkpoint
from .devices import choose_device, choose_dtype, limit_threads
from .quantization import leave_fast_path, quantization_config, requested
from .template import override
from .torchvision import ensure_importable

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "LoadedModel", "load", "load_processor", "open_checkpoint"]

SAMPLING_KEYS = ("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens")
NOT_OURS = ("num_beams", "num_return_sequences", "max_length", "stop_strings", "guidance_scale", "cache_implementation")


@dataclass(frozen=True)
class LoadedModel:
    """A model, its processor, and what is known about them. ``sampling`` is the checkpoint's own advice."""

    model: Any
    processor: Any
    family: Family
    name: str
    device: torch.device
    context_length: int | None
    end_tokens: frozenset[int]
    sampling: dict[str, Any]

    @property
    def tokenizer(self) -> Any:
        """The tokenizer inside the processor, or the processor itself for text models."""
        return getattr(self.processor, "tokenizer", self.processor)


def check(options: ModelOptions) -> None:
    """Refuse options that cannot work before anything is read."""
    requested(options)
    override(options)


def load_processor(checkpoint: Checkpoint, options: ModelOptions) -> Any:
    """The checkpoint's processor (for text models its tokenizer) with the chat template the user wants."""
    with translated(checkpoint.name):
        ensure_importable()
        from transformers import AutoProcessor, AutoTokenizer

        loader = AutoProcessor if checkpoint.family.modalities else AutoTokenizer
        processor = loader.from_pretrained(checkpoint.folder, trust_remote_code=options.trust_remote_code)
        if options.tokenizer is not None:
            replace_tokenizer(processor, options.tokenizer)
    template = override(options)
    if template is not None:
        processor.chat_template = template
    elif not getattr(processor, "chat_template", None) and hasattr(processor, "tokenizer"):
        processor.chat_template = processor.tokenizer.chat_template
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


def load(checkpoint: Checkpoint, options: ModelOptions) -> LoadedModel:
    """Read the weights and everything around them.

    Raises ``ModelError`` and its kinds; nothing of torch or transformers escapes untranslated.
    """
    quantization = requested(options)
    family = checkpoint.family
    processor = load_processor(checkpoint, options)
    folder = fetch_weights(checkpoint, options)
    with translated(checkpoint.name):
        import transformers

        limit_threads(options)
        device = choose_device(options)
        dtype = choose_dtype(options, device, folder)
        automodel = getattr(transformers, family.automodel)
        model, found = automodel.from_pretrained(
            folder,
            output_loading_info=True,
            dtype=dtype,
            device_map={"": device},
            quantization_config=quantization_config(quantization, family, dtype),
            trust_remote_code=options.trust_remote_code,
        )
        refuse_missing(checkpoint.name, found["missing_keys"])
        refuse_unsteerable(checkpoint.name, model)
        model.eval()
        if quantization == "nf4":
            leave_fast_path(model)
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
    )


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
