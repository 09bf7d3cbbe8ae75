"""Where a checkpoint lies and what its configuration says: a folder, a hub repository, or the bundled demo model."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import (
    MatFormerError,
    ModelAccessDenied,
    ModelError,
    ModelNotFound,
    OptionError,
    UnsupportedModel,
    reason,
)
from ..families import Family, family_for, own_family
from ..families.registry import require_architecture
from ..families.runnable import require_runnable
from ..named_files import position
from ..options import DEMO_MODEL, ModelOptions
from ..resources import DEMO_CHECKPOINT, read_text
from .foreign import Contents, contents, described, is_mlx
from .marked import without_marks
from .matformer import Slice, requested_slice, sliced_config
from .torchvision import ensure_importable
from .weights import weight_files

SMALL_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken"]
WEIGHTS = ["*.safetensors"]
TOKENIZER = "tokenizer.json"
TOKENIZERS = (TOKENIZER, "tekken.json", "vocab.json", "vocab.txt")
NOT_READ = ["original/*", "consolidated*"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose small files are at hand; ``repository`` is set when its weights are still on the hub.

    With a ``slice``, ``config`` is the smaller model's already.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    family: Family
    repository: str | None = None
    slice: Slice | None = None


def open_checkpoint(options: ModelOptions) -> Checkpoint:
    """Find a checkpoint and read its configuration; nothing large is fetched or read.

    Raises ``ModelNotFound``, ``ModelAccessDenied`` or ``UnsupportedModel``, the last also for what cannot be run here,
    and ``MatFormerError`` for a slice that cannot be cut from this model.
    """
    model_slice = requested_slice(options)
    checkpoint = find_checkpoint(options)
    if is_mlx(checkpoint.config):
        held = holds(checkpoint.folder, checkpoint.repository, options)
        raise unreadable(checkpoint.name, held, "", checkpoint.config)
    require_runnable(checkpoint.name, checkpoint.config, checkpoint.family, trust_remote_code=options.trust_remote_code)
    if options.arch is not None:
        require_architecture(checkpoint.name, checkpoint.config, checkpoint.family, options.arch)
    return checkpoint if model_slice is None else sliced(checkpoint, model_slice)


def sliced(checkpoint: Checkpoint, model_slice: Slice) -> Checkpoint:
    """The checkpoint as the smaller model that a MatFormer slice makes of it."""
    if not checkpoint.family.matformer:
        raise MatFormerError(
            f"{checkpoint.name} has no MatFormer slices: only Gemma 3n has.",
            "Leave out --matformer-slice-name, or try -m google/gemma-3n-E4B-it",
        )
    if checkpoint.config.get("quantization_config"):
        raise MatFormerError(
            f"{checkpoint.name} is already quantized; slices are cut from unquantized weights.",
            "Slice the original checkpoint; --isq quantizes what is cut.",
        )
    config = sliced_config(checkpoint.config, model_slice)
    return replace(checkpoint, config=config, family=family_for(config), slice=model_slice)


def find_checkpoint(options: ModelOptions) -> Checkpoint:
    """The checkpoint as it lies on the disk or the hub."""
    name = options.model_id
    if name == DEMO_MODEL and not Path(name).is_dir():
        refuse_revision(options, "the bundled demo model has none")
        return local_checkpoint("demo", DEMO_CHECKPOINT, options)
    try:
        path = Path(name).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # an unreadable folder above it, a name too long, no such home
        raise ModelNotFound(f"{name[:200]} cannot be looked up: {reason(error)}.", "Check the path.") from error
    if is_folder:
        refuse_revision(options, f"{name} is a folder")
        return local_checkpoint(name, path, options)
    if is_file:
        raise UnsupportedModel(
            f"{name} is a file; a model is a folder with config.json and safetensors files.",
            f"Try -m {path.parent if str(path.parent) != '.' else '.'}",
        )
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        looks_local = name.startswith((".", "/", "~")) or "/" in name
        raise ModelNotFound(
            f"There is no folder {name}."
            if looks_local
            else f"{name} is neither a folder here nor a model of the hub, which is written OWNER/NAME.",
            "Try -m Qwen/Qwen3-VL-4B-Instruct; mistralrs cache list shows the models on this disk.",
        )
    return local_checkpoint(name, download(options, SMALL_FILES), options, repository=name)


def refuse_revision(options: ModelOptions, why: str) -> None:
    """Raise ``OptionError`` for a revision of what is not on the hub."""
    if options.revision is not None:
        raise OptionError(f"--revision {options.revision} is of a model on the hub; {why}.", "Leave out --revision.")


def local_checkpoint(name: str, folder: Path, options: ModelOptions, repository: str | None = None) -> Checkpoint:
    """Read ``config.json`` of a folder, which is a repository's small files where that is named."""
    path = folder / "config.json"
    if not path.is_file():
        raise unreadable(name, holds(folder, repository, options), f"{name} holds no config.json: it is no checkpoint.")
    try:
        config = json.loads(read_text(path))
    except (ValueError, OSError) as error:
        why = f"cannot be read: {reason(error)}" if isinstance(error, OSError) else f"is not JSON{position(error)}"
        raise UnsupportedModel(f"The config.json of {name} {why}.", "Download the checkpoint again.") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(f"The config.json of {name} is not an object.", "Download the checkpoint again.")
    if own_family(str(config.get("model_type"))) is None:
        ensure_importable()  # transformers lists the types it knows
    return Checkpoint(name, without_marks(folder), config, family_for(config), repository)


def holds(folder: Path, repository: str | None, options: ModelOptions) -> Contents:
    """Everything that a folder or a repository holds."""
    return contents(folder, repository, options.revision, hub_token(options.token_source))


def unreadable(name: str, held: Contents, message: str, config: dict[str, Any] | None = None) -> UnsupportedModel:
    """The refusal of a folder or repository that lacks something: what it is, where that can be told."""
    said = described(name, held, config)
    return UnsupportedModel(
        *said
        if said is not None
        else (
            message,
            f"Use the model it was made from, -m {held.base}"
            if held.base
            else "A model is a folder, or a repository of the hub, with config.json, tokenizer.json and *.safetensors; "
            "--tokenizer and --tok-model-id name a tokenizer that lies elsewhere.",
        )
    )


def require_small_files(checkpoint: Checkpoint, options: ModelOptions) -> None:
    """Raise ``UnsupportedModel`` where no file could hold a tokenizer, or say how media are prepared."""
    name, folder, family = checkpoint.name, checkpoint.folder, checkpoint.family
    files = {path.name for path in folder.iterdir()}
    suffixes = {path.suffix for path in folder.iterdir()}
    if not files & set(TOKENIZERS):
        for suffix, package in ((".model", "sentencepiece"), (".tiktoken", "tiktoken")):
            if suffix in suffixes and find_spec(package) is None:
                raise UnsupportedModel(
                    f"{name} has its tokenizer as a {suffix} file only, which needs the package {package}.",
                    f"Use a release with {TOKENIZER}, or: pip install {package} protobuf",
                )
        if not suffixes & {".model", ".tiktoken"}:
            held = holds(folder, checkpoint.repository, options)
            raise unreadable(name, held, f"{name} holds no tokenizer.", checkpoint.config)
    if family.modalities and family.described and not files & set(family.described):
        base = holds(folder, checkpoint.repository, options).base
        raise UnsupportedModel(
            f"{name} lacks {' and '.join(family.described)}: nothing says how its media are prepared.",
            f"Copy that file from the original model{f', {base}' if base else ''}, to a folder with the rest.",
        )


def tokenizer_of(name: str, options: ModelOptions) -> str:
    """The ``tokenizer.json`` of another checkpoint, a folder or a hub repository.

    Raises what ``find_checkpoint`` does for one that is not there, and ``UnsupportedModel`` for one without that file.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = download(replace(options, model_id=name, revision=None, trust_remote_code=False), [TOKENIZER])
    if not (folder / TOKENIZER).is_file():
        raise UnsupportedModel(f"{name} has no {TOKENIZER}.", "Name a file with --tokenizer, or another model.")
    return str(folder / TOKENIZER)


def fetch_weights(checkpoint: Checkpoint, options: ModelOptions) -> Path:
    """The folder with the weights, downloading them first where they are still on the hub.

    Raises ``UnsupportedModel`` where they are not there as safetensors files, all of them.
    """
    if checkpoint.repository is not None:
        folder = without_marks(download(options, SMALL_FILES + WEIGHTS))
    else:
        folder = checkpoint.folder
    try:
        weight_files(folder, checkpoint.name)
    except UnsupportedModel as error:
        if any(folder.glob("*.safetensors")):
            raise
        said = described(checkpoint.name, holds(folder, checkpoint.repository, options), checkpoint.config)
        raise error if said is None else UnsupportedModel(*said) from error
    return folder


def download(options: ModelOptions, patterns: list[str]) -> Path:
    """A snapshot of a hub repository, resumed where it broke off. Bars go to stderr on a terminal."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = options.model_id
    token = hub_token(options.token_source)
    try:
        return Path(
            snapshot_download(
                name,
                revision=options.revision,
                cache_dir=options.hf_cache,
                token=token,
                allow_patterns=[*patterns, "*.py"] if options.trust_remote_code else patterns,
                ignore_patterns=NOT_READ,
            )
        )
    except GatedRepoError as error:
        raise ModelAccessDenied(
            f"{name} is gated: accept its terms"
            + (", which this token's account has not." if error.response.status_code == 403 else " and log in."),
            f"Accept them at {constants.ENDPOINT}/{name}, then: mistralrs login",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelNotFound(
            f"{name} has no revision {options.revision}.", "Leave --revision out for the newest."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"The hub has no model {name}, or it is private.",
            "Check the spelling; for a private model: mistralrs login, or --token-source env:HF_TOKEN",
        ) from error
    except HFValidationError as error:
        raise ModelNotFound(f"{name} is not a model id.", "A hub model is written OWNER/NAME.") from error
    except LocalEntryNotFoundError as error:
        raise ModelNotFound(
            f"{name} is not in the local cache and the hub cannot be reached.",
            "Connect to the network, or point -m to a local folder; -m demo is the bundled demo model.",
        ) from error
    except Exception as error:  # the hub's client lets errors of its HTTP library through
        if "socksio" in str(error):
            raise ModelError(
                f"Downloading {name} needs the package socksio, since the network goes through a SOCKS proxy.",
                "pip install socksio, or unset ALL_PROXY if there is no proxy.",
            ) from error
        raise ModelError(
            f"Downloading {name} failed: {reason(error)}.", "Try again: files that are whole are kept."
        ) from error


def hub_token(source: str) -> str | bool | None:
    """The hub token ``--token-source`` names: literal:V, env:V, path:F, cache or none. Errors never repeat a token."""
    kind, _, value = source.partition(":")
    match kind:
        case "cache" if not value:
            return None
        case "none" if not value:
            return False
        case "literal" if value:
            return usable_token(value, "--token-source literal")
        case "env" if value:
            if value not in os.environ:
                raise OptionError(f"--token-source env:{value}: that variable is not set.", f"export {value}=hf_…")
            return usable_token(os.environ[value], f"--token-source env:{value}")
        case "path" if value:
            try:
                text = Path(value).expanduser().read_text(encoding="latin-1")
            except OSError as error:
                raise OptionError(f"--token-source path:{value}: {reason(error)}.", "Name a readable file.") from error
            return usable_token(text, f"--token-source path:{value}")
    raise OptionError("Invalid --token-source.", "Use literal:TOKEN, env:VARIABLE, path:FILE, cache or none.")


def usable_token(text: str, source: str) -> str:
    """A token as it can be sent; an HTTP library would refuse another by printing it."""
    token = text.strip()
    if not token or not all("!" <= letter <= "~" for letter in token):
        raise OptionError(f"{source} holds no hub token.", "A token is one word that begins with hf_")
    return token
