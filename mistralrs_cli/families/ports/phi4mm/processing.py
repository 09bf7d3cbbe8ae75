"""The processor of Phi-4 Multimodal, telling how many tokens each image takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import (
    Phi4MultimodalFeatureExtractor,
    Phi4MultimodalImageProcessor,
    Phi4MultimodalProcessor,
)

from ....resources import read_text
from ...tokenizers import load_own

PLACEHOLDERS = {"image_token": "<|endoftext10|>", "audio_token": "<|endoftext11|>"}


class Phi4MMProcessor(Phi4MultimodalProcessor):
    """Transformers' processor, with ``num_img_tokens`` among what it returns: a list with one number an image."""

    @property
    def unused_input_names(self) -> list[str]:
        """Nothing is left out."""
        return []


def load_published(folder: Path) -> Phi4MMProcessor:
    """The processor with the published settings; the published tokenizer does not name the placeholders."""
    path = folder / "preprocessor_config.json"
    settings: dict[str, Any] = json.loads(read_text(path)) if path.is_file() else {}
    seen = {key: settings[key] for key in ("dynamic_hd", "size", "patch_size") if key in settings}
    heard = {key: value for key, value in settings.items() if key.startswith("audio_")}
    tokenizer = load_own(folder, extra_special_tokens=PLACEHOLDERS)
    return Phi4MMProcessor(Phi4MultimodalImageProcessor(**seen), Phi4MultimodalFeatureExtractor(**heard), tokenizer)
