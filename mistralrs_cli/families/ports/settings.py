"""What a checkpoint says about its processor, in either layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...resources import read_text


def part_settings(folder: Path, part: str) -> dict[str, Any]:
    """The settings of one part of a processor (``image_processor``, say).

    Published files have all parts together in ``preprocessor_config.json``; transformers writes each under its name in
    ``processor_config.json``. Nothing is found where there is neither.
    """
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            found: dict[str, Any] = json.loads(read_text(folder / name))
            return found if name.startswith("pre") else found.get(part, {})
    return {}
