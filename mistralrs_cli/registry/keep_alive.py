"""How long a model stays after its last answer, as Ollama's clients write it."""

from __future__ import annotations

import re

from ..errors import OptionError

FOREVER = float("inf")
PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|min|m|h)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def keep_seconds(value: str | float, place: str, *, bare: bool = True) -> float:
    """The seconds of ``"5m"``, ``"1h30m"``, or a number of seconds, where a ``bare`` one may be; below 0 is for ever.

    Source: ``keep_alive`` of Ollama's API, whose texts are Go's durations. Raises ``OptionError``.
    """
    text = str(value).strip().lower()
    if text in ("forever", "never"):
        return FOREVER
    sign, size = text[:1] == "-", text.lstrip("+-")
    try:
        seconds = float(size)
    except ValueError:
        if not size or PART.sub("", size):
            raise refused(value, place) from None
        seconds = sum(float(number) * SECONDS[unit] for number, unit in PART.findall(size))
    else:
        if seconds != seconds or isinstance(value, bool) or not (bare or sign or seconds == 0):
            raise refused(value, place)
    return FOREVER if sign and seconds else seconds


def refused(value: object, place: str) -> OptionError:
    """The error for what is no time."""
    what = f"{place} is {value!r:.40}, which is not a time."
    return OptionError(what, "Write 90s, 10m, 2h, 0 or forever.", param=place)
