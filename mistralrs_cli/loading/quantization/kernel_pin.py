"""The environment variable that says how quantized weights are multiplied, instead of measuring."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal, get_args

from ...errors import OptionError
from ..ggml.library import FOLDER, library_folder

Way = Literal["packed", "unpacked", "ggml"]
"""By a kernel of torch's or bitsandbytes' that reads packed numbers, by unpacking the whole weight and multiplying in
the inputs' dtype, or by ggml's kernels where they are installed."""

PIN = "MISTRALRS_KERNELS"


@cache
def pin() -> Way | None:
    """The way that the environment pins; ``None`` where it is not set or empty.

    Raises ``OptionError`` for anything else, and for ``ggml`` where it is not there.
    """
    named = os.environ.get(PIN)
    if not named:
        return None
    ways: tuple[Way, ...] = get_args(Way)
    if named not in ways:
        names = f"{', '.join(ways[:-1])} or {ways[-1]}"
        raise OptionError(f"{PIN} says {named}, which is unknown.", f"Set it to {names}, or unset it.")
    if named == "ggml" and library_folder() is None:
        raise OptionError(
            f"{PIN} says ggml, which is not installed.",
            f"pip install 'mistralrs[ggml]', or name a folder with ggml's libraries by {FOLDER}.",
        )
    return ways[ways.index(named)]
