"""Where a checkpoint lies and what its configuration says: a folder, a hub repository, or the bundled demo model."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
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
from ..families import Family, family_for
from ..families.registry import require_architecture
from ..named_files import position
from ..options import DEMO_MODEL, ModelOptions
from ..resources import DEMO_CHECKPOINT
from .matformer import Slice, requested_slice, sliced_config
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

    Raises ``ModelNotFound``, ``ModelAccessDenied`` or ``UnsupportedModel``, and ``MatFormerError`` for a slice that
    cannot be cut from this model.
    """
    piece = requested_slice(options)
    checkpoint = find_checkpoint(options)
    if options.arch is not None:
        require_architecture(checkpoint.name, checkpoint.config, checkpoint.family, options.arch)
    return checkpoint if piece is None else sliced(checkpoint, piece)


def sliced(checkpoint: Checkpoint, piece: Slice) -> Checkpoint:
    """The checkpoint as the smaller model that a MatFormer slice makes of it."""
    if not checkpoint.family.matformer:
        raise MatFormerError(
            f"{checkpoint.name} has no MatFormer slices: only Gemma 3n has.",
            "Leave out --matformer-slice-name, or try -m google/gemma-3n-E4B-it",
        )
    if checkpoint.config.get("quantization_config"):
        raise MatFormerError(
            f"{checkpoint.name} is quantized already, and slices are cut from weights that are not.",
            "Slice the original checkpoint; --isq quantizes what is cut.",
        )
    config = sliced_config(checkpoint.config, piece)
    return replace(checkpoint, config=config, family=family_for(config), slice=piece)


def find_checkpoint(options: ModelOptions) -> Checkpoint:
    """The checkpoint as it lies on the disk or the hub."""
    name = options.model_id
    if name == DEMO_MODEL and not Path(name).is_dir():
        refuse_revision(options, "the bundled demo model has none")
        return local_checkpoint("demo", DEMO_CHECKPOINT)
    try:
        path = Path(name).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # an unreadable folder above it, a name too long, no such home
        raise ModelNotFound(f"{name[:200]} cannot be looked up: {reason(error)}.", "Check the path.") from error
    if is_folder:
        refuse_revision(options, f"{name} is a folder")
        return local_checkpoint(name, path)
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
            "For example: -m Qwen/Qwen3-VL-4B-Instruct; mistralrs cache list shows the models on this disk.",
        )
    folder = download(options, SMALL_FILES)
    return replace(local_checkpoint(name, folder), repository=name)


def refuse_revision(options: ModelOptions, why: str) -> None:
    """Raise ``OptionError`` for a revision of what is not on the hub."""
    if options.revision is not None:
        raise OptionError(f"--revision {options.revision} is of a model on the hub; {why}.", "Leave out --revision.")


def local_checkpoint(name: str, folder: Path) -> Checkpoint:
    """Read ``config.json`` of a folder."""
    path = folder / "config.json"
    if not path.is_file():
        gguf = list(folder.glob("*.gguf"))
        raise UnsupportedModel(
            f"{name} holds no config.json, so it is not a checkpoint." + (" GGUF files are not read." if gguf else ""),
            "Point -m to a folder with config.json, a tokenizer and safetensors files.",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        why = f"cannot be read: {reason(error)}" if isinstance(error, OSError) else f"is not JSON{position(error)}"
        raise UnsupportedModel(f"The config.json of {name} {why}.", "Download the checkpoint again.") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(f"The config.json of {name} is not an object.", "Download the checkpoint again.")
    return Checkpoint(name, folder, config, family_for(config))


def require_tokenizer(checkpoint: Checkpoint) -> None:
    """Raise ``UnsupportedModel`` where no file could hold a tokenizer."""
    files = list(checkpoint.folder.iterdir())
    if not any(path.name in TOKENIZERS or path.suffix in (".model", ".tiktoken") for path in files):
        raise UnsupportedModel(
            f"{checkpoint.name} holds no tokenizer.",
            "Point -m to a folder with config.json, a tokenizer and safetensors files.",
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
    folder = download(options, SMALL_FILES + WEIGHTS) if checkpoint.repository else checkpoint.folder
    weight_files(folder, checkpoint.name)
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
        hint = "Run the command again: files that are whole are kept."
        if "socksio" in str(error):
            raise ModelError(
                f"Downloading {name} needs the package socksio, since the network goes through a SOCKS proxy.",
                "pip install socksio, or unset ALL_PROXY if there is no proxy.",
            ) from error
        raise ModelError(f"Downloading {name} failed: {reason(error)}.", hint) from error


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
    raise OptionError(
        "--token-source is none of its forms.", "Use literal:TOKEN, env:VARIABLE, path:FILE, cache or none."
    )


def usable_token(text: str, source: str) -> str:
    """A token as it can be sent; an HTTP library would refuse another by printing it."""
    token = text.strip()
    if not token or not all("!" <= letter <= "~" for letter in token):
        raise OptionError(f"{source} holds no hub token.", "A token is one word that begins with hf_")
    return token
