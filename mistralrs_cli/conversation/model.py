"""The model of a conversation, by the options it was loaded with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..options import ModelOptions

UNSAVED = {"token_source", "hf_cache", "trust_remote_code", "threads", "max_seqs"}
"""Options that belong to the machine, or must be given each time, and are not saved with a conversation."""


def saved_options(options: ModelOptions) -> dict[str, Any]:
    """The model options that are saved with a conversation: those that were given."""
    found = {
        key: value
        for key, value in asdict(options).items()
        if key not in UNSAVED and isinstance(value, (str, int, float)) and value != getattr(ModelOptions, key, None)
    }
    folder = Path(options.model_id)
    found["model_id"] = str(folder.resolve()) if folder.is_dir() else options.model_id
    return found
