"""From groups of options to the values of the core, with what makes no sense together refused."""

from __future__ import annotations

import re
from dataclasses import fields

from ..errors import OptionError
from ..messages import MediaOptions
from ..options import DEMO_MODEL, AttachOptions, ModelOptions
from .params.attach import AttachParams
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams


def exclusive(options: dict[str, object | None]) -> None:
    """Raise ``OptionError`` for options that cannot stand together."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} exclude each other.", f"Give one of them: {' or '.join(given)}.")


def model_options(model: ModelParams, hardware: HardwareParams) -> ModelOptions:
    """How to load the model. Raises ``OptionError`` for options that exclude each other, and for an empty name.

    A model without a name comes from a script whose variable was never set.
    """
    exclusive({"--quant": hardware.quant, "--isq": hardware.isq})
    exclusive({"--tokenizer": model.tokenizer, "--tok-model-id": model.tok_model_id})
    known = {field.name for field in fields(ModelOptions)}
    given = {name: value for name, value in (vars(model) | vars(hardware)).items() if name in known}
    require_name(model.model_id)
    return ModelOptions(**given | {"model_id": model.model_id or DEMO_MODEL})


def require_name(name: str | None) -> None:
    """Raise ``OptionError`` for a model without a name."""
    if name is not None and not name.strip():
        raise OptionError("The model after -m has no name.", "Name one, or leave out -m for the bundled demo model.")


TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)")
SECONDS = {"": 60.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def attach_options(given: AttachParams) -> AttachOptions:
    """Whether to attach. Raises ``OptionError`` for a time that is none."""
    exclusive({"--keep": given.keep, "--no-attach": given.no_attach or None, "--server": given.server})
    keep = None if given.keep is None else seconds(given.keep)
    return AttachOptions(attach=not given.no_attach, keep=keep, server=given.server)


def seconds(text: str) -> float:
    """The seconds of ``90s``, ``10m`` or ``2h``; a number alone is in minutes."""
    found = TIME.fullmatch(text.strip().lower())
    if found is None:
        raise OptionError(f"--keep {text} is not a time.", "Write 90s, 10m or 2h.")
    return float(found[1]) * SECONDS[found[2]]


def media_options(reading: MediaParams) -> MediaOptions:
    """How media are read. Raises ``OptionError`` for a rate or a range that holds nothing."""
    fps, start, end = reading.video_fps, reading.video_start, reading.video_end
    exclusive({"--video-frames": reading.video_frames, "--video-fps": fps})
    if fps is not None and fps <= 0:
        raise OptionError("--video-fps must be above 0.", "For example: --video-fps 2")
    if end is not None and end <= (start or 0.0):
        raise OptionError(
            f"--video-end {end:g} is not after --video-start {start or 0.0:g}.", "Both are seconds from the beginning."
        )
    return MediaOptions(
        max_edge=reading.max_edge,
        frames=reading.video_frames,
        fps=fps,
        start=start,
        end=end,
        dpi=reading.pdf_dpi,
        page_text=reading.pdf_text or None,
        soundtrack=reading.soundtrack or None,
    )
