"""The environment variable that says how quantized weights are multiplied, instead of measuring."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal, get_args

from ...errors import OptionError

Way = Literal["packed", "unpacked"]
"""By a kernel that reads the stored numbers, or by unpacking the whole weight and multiplying in the inputs' dtype."""

PIN = "MISTRALRS_KERNELS"


@cache
def pin() -> Way | None:
    """The way that the environment pins; ``None`` where it is not set or empty.

    Raises ``OptionError`` for anything else.
    """
    named = os.environ.get(PIN)
    if not named:
        return None
    ways: tuple[Way, ...] = get_args(Way)
    if named not in ways:
        raise OptionError(f"{PIN} says {named}, which is unknown.", f"Set it to {' or '.join(ways)}, or unset it.")
    return ways[ways.index(named)]
