"""What torch, transformers and safetensors raise while loading, as errors of our own."""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import MistralrsError, ModelError, OutOfMemory, UnsupportedModel, first_line, reason
from .weights import AGAIN

NO_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)
NEEDED = re.compile(r"requires the (\S+) library|No module named '([\w.]+)'|require[sd]?:? [`']?([\w-]+)[`']? ")
LARGEST_JSON = 64 << 20  # bytes; vocabularies of today have 10 to 35 MB


@contextmanager
def map_errors(name: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what torch, transformers and safetensors raise while loading into our own errors, and keep them quiet.

    ``folder`` is where the small files of the checkpoint ``name`` lie: a damaged one is named.
    """
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
    except Exception as error:
        raise mapped_error(name, error, folder) from error
    finally:
        logger.setLevel(level)


def mapped_error(name: str, error: Exception, folder: Path | None = None) -> MistralrsError:
    """The error of ours for what a library raised while it loaded ``name``.

    Files are blamed only where the library found one of them broken. What is not known here stays an unexpected error
    of its own type: a ``TypeError`` says nothing about anybody's files.
    """
    from huggingface_hub.errors import StrictDataclassFieldValidationError
    from safetensors import SafetensorError

    text = str(error)
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return OutOfMemory(f"{name} does not fit in memory.", "Try --quant 4, --cpu, or a smaller model.")
    if sys.flags.optimize > 1 and "docstring" in text:
        return ModelError(
            "Models cannot be loaded by a Python that removes docstrings.", "Unset PYTHONOPTIMIZE, or leave out -OO."
        )
    if isinstance(error, SafetensorError):
        return UnsupportedModel(f"Loading {name} failed: a weight file is damaged.", AGAIN)
    if (broken := broken_json(folder)) is not None:
        return UnsupportedModel(f"{name} cannot be loaded: its {broken} is not valid JSON.", AGAIN)
    if isinstance(error, OSError):
        if error.errno is None:  # transformers, on a file that it did not find
            wanted = re.findall(r"[\w.-]+\.(?:json|model|txt|jinja|safetensors)\b", text)
            return UnsupportedModel(f"{name} cannot be loaded: it lacks {wanted[-1] if wanted else 'a file'}.", AGAIN)
        return ModelError(f"{name} cannot be read: {reason(error)}.", "Check the disk, and who may read its files.")
    if isinstance(error, ImportError):
        package = missing_package(error)
        return UnsupportedModel(
            f"{name} needs a Python package that is not installed{'' if package is None else f': {package}'}.",
            "MISTRALRS_DEBUG=1 shows which." if package is None else f"pip install {package}",
        )
    if isinstance(error, StrictDataclassFieldValidationError):
        field = re.search(r"field '(\w+)'", text)
        return UnsupportedModel(
            f"The config.json of {name} has a value that its architecture does not take"
            f"{'' if field is None else f': {field[1]}'}.",
            AGAIN,
        )
    if "custom code" in text:
        return UnsupportedModel(
            f"{name} needs Python code from its own repository, which is not run by default.",
            "If you trust its author: --trust-remote-code",
        )
    if unknown := re.search(r"model type `(\S+)`", text):
        return UnsupportedModel(
            f"{name} is of the architecture {unknown[1]}, which this version does not know.",
            "A newer mistralrs may. docs/models.md lists those that are known.",
        )
    if unfit := re.search(r"Unrecognized configuration class .*?(\w+)'>", text):
        return UnsupportedModel(
            f"{name} does not generate text: its config.json is a {unfit[1]}.", "Name a chat model with -m."
        )
    if "ignore_mismatched_sizes" in text or "size mismatch" in text:
        return UnsupportedModel(f"The weights of {name} have other shapes than its config.json says.", AGAIN)
    return ModelError(
        f"{name} cannot be loaded: unexpected {type(error).__name__}: {first_line(error)}",
        "MISTRALRS_DEBUG=1 shows the traceback; please report it.",
    )


def missing_package(error: ImportError) -> str | None:
    """The package that a library says is not installed, where it names one."""
    found = NEEDED.search(str(error))
    return next((group for group in found.groups() if group), None) if found else None


def broken_json(folder: Path | None) -> str | None:
    """The name of the first JSON file of a folder that holds no JSON."""
    for file in sorted(folder.glob("*.json")) if folder is not None else ():
        try:
            if file.stat().st_size <= LARGEST_JSON:
                json.loads(file.read_bytes())
        except ValueError:
            return file.name
        except OSError:
            continue
    return None


def silence_bars() -> None:
    """Loading draws no bars of its own; downloads keep theirs."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
