"""What ``/set`` changes: how tokens are drawn, how media are read, how answers are shown."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

from ..errors import OptionError
from ..messages import MediaOptions
from ..options import Effort, Sampling
from ..terminal.plain import Thoughts
from ..terminal.preview import PreviewMode
from ..terminal.theme import ThemeName


@dataclass(frozen=True)
class Display:
    """How answers are shown."""

    stats: bool = True
    thoughts: Thoughts = "fold"
    markdown: bool = True
    theme: ThemeName = "auto"
    preview: PreviewMode = "auto"


@dataclass(frozen=True)
class Setting:
    """One key: the value it belongs to, how its words are read, and what it means."""

    home: str
    read: Callable[[str], Any]
    meaning: str
    example: str
    values: tuple[str, ...] = ()
    """The words it takes, where they are few."""


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """Reads a number within bounds."""

    def read(words: str) -> float:
        value = float(words)
        if not (low <= value <= high and math.isfinite(value)):
            raise ValueError(words)
        return value

    return read


def whole(low: int) -> Callable[[str], int]:
    """Reads a whole number from ``low`` on."""

    def read(words: str) -> int:
        value = int(words)
        if value < low:
            raise ValueError(words)
        return value

    return read


def switch(words: str) -> bool:
    """Reads on or off."""
    match words.lower():
        case "on" | "true" | "yes" | "1":
            return True
        case "off" | "false" | "no" | "0":
            return False
        case _:
            raise ValueError(words)


def phrase(words: str) -> tuple[str, ...]:
    """Reads a stop string."""
    if not words:
        raise ValueError(words)
    return (words,)


def effort(words: str) -> Effort:
    """Reads how long to think."""
    found = next((known for known in get_args(Effort) if known == words.lower()), None)
    if found is None:
        raise ValueError(words)
    return found  # type: ignore[no-any-return]


def choice(*known: str) -> Callable[[str], str]:
    """Reads one of these words."""

    def read(words: str) -> str:
        if words.lower() not in known:
            raise ValueError(words)
        return words.lower()

    return read


def preview(words: str) -> str:
    """Reads how images are previewed; on is the best that the terminal is known to show."""
    return choice(*get_args(PreviewMode))({"on": "auto", "no": "off", "yes": "auto"}.get(words.lower(), words))


SWITCH = ("on", "off")
SETTINGS = {
    "temperature": Setting("sampling", number(0), "randomness; 0 always takes the most likely token", "0.7"),
    "top_k": Setting("sampling", whole(0), "sample from the N most likely tokens; 0 is off", "40"),
    "top_p": Setting("sampling", number(0, 1), "sample from tokens adding up to this probability", "0.95"),
    "min_p": Setting("sampling", number(0, 1), "drop tokens below this × the most likely one's", "0.05"),
    "max_tokens": Setting("sampling", whole(1), "longest answer, in tokens", "500"),
    "repetition_penalty": Setting("sampling", number(0.01), "above 1, fewer repetitions", "1.1"),
    "frequency_penalty": Setting("sampling", number(-2, 2), "subtracted for every earlier use", "0.5"),
    "presence_penalty": Setting("sampling", number(-2, 2), "subtracted once for any earlier use", "0.5"),
    "seed": Setting("sampling", whole(0), "the same seed gives the same answer", "1"),
    "stop": Setting("sampling", phrase, "end the answer before this text", "END"),
    "thinking": Setting("sampling", switch, "whether a model that can reason first does", "on", SWITCH),
    "reasoning_effort": Setting(
        "sampling", effort, "length of the reasoning: off, low, medium, high, xhigh", "low", get_args(Effort)
    ),
    "max_edge": Setting("media", whole(1), "shrink images to this many pixels", "1024"),
    "frames": Setting("media", whole(1), "frames taken of a video", "16"),
    "fps": Setting("media", number(0.001), "frames taken of each second of a video", "2"),
    "start": Setting("media", number(0), "skip what comes before this second of a video", "1.5"),
    "end": Setting("media", number(0), "skip what comes after this second of a video", "10"),
    "soundtrack": Setting("media", switch, "whether the sound of videos is given after their frames", "on", SWITCH),
    "stats": Setting("display", switch, "numbers after an answer", "off", SWITCH),
    "thoughts": Setting(
        "display",
        choice(*get_args(Thoughts)),
        "fold, show or hide the reasoning",
        "show",
        get_args(Thoughts),
    ),
    "markdown": Setting("display", switch, "render answers on a terminal", "off", SWITCH),
    "theme": Setting(
        "display",
        choice(*get_args(ThemeName)),
        "colours: auto, light, dark, or plain for none",
        "light",
        get_args(ThemeName),
    ),
    "preview": Setting(
        "display", preview, "images: auto, off, kitty, iterm2, sixel, blocks", "off", get_args(PreviewMode)
    ),
}
ALIASES = {"topk": "top_k", "topp": "top_p", "minp": "min_p", "maxtokens": "max_tokens", "video_frames": "frames"}
ALIASES |= {"video_fps": "fps", "video_start": "start", "video_end": "end"}


class Settings:
    """The values now, and those the chat began with."""

    def __init__(self, sampling: Sampling, media: MediaOptions, display: Display) -> None:
        self.now: dict[str, Any] = {"sampling": sampling, "media": media, "display": display}
        self.first = dict(self.now)

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        found: Sampling = self.now["sampling"]
        return found

    @property
    def media(self) -> MediaOptions:
        """How media are read."""
        found: MediaOptions = self.now["media"]
        return found

    @property
    def display(self) -> Display:
        """How answers are shown."""
        found: Display = self.now["display"]
        return found

    def set(self, name: str, words: str) -> str:
        """Change one setting, or give it back its first value (``default``); returns it as ``key = value``.

        Without words it stays as it is.

        Raises ``OptionError`` for a key there is not, or a value that makes no sense.
        """
        key = name.lower().replace("-", "_")
        key = ALIASES.get(key, key)
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, n=1)
            raise OptionError(
                f"There is no setting {name}.", f"Did you mean {close[0]}?" if close else "/set lists them."
            )
        setting = SETTINGS[key]
        if not words:
            return f"{key} = {shown(getattr(self.now[setting.home], key))}"
        if words == "default":
            value = getattr(self.first[setting.home], key)
        else:
            try:
                value = setting.read(words)
            except (ValueError, OverflowError) as error:
                raise OptionError(f"{key} cannot be {words}.", f"For example: /set {key} {setting.example}") from error
        changes = {key: value}
        if key in ("frames", "fps"):  # one excludes the other
            changes["fps" if key == "frames" else "frames"] = None
        media = replace(self.media, **changes) if setting.home == "media" else self.media
        if media.end is not None and media.end <= (media.start or 0.0):
            raise OptionError(f"A video cannot end at {media.end:g} s.", f"It begins at {media.start or 0.0:g} s.")
        self.now[setting.home] = replace(self.now[setting.home], **changes)
        return f"{key} = {shown(value)}"

    def lines(self, width: int | None = None) -> list[str]:
        """Every setting with its value and meaning, or without where ``width`` columns do not hold that."""
        lines = []
        for key, setting in SETTINGS.items():
            line = f"{key:<19} {shown(getattr(self.now[setting.home], key)):<8}"
            whole = f"{line} {setting.meaning}"
            lines.append(whole if width is None or len(whole) <= width else line.rstrip())
        return lines


def shown(value: Any) -> str:
    """A value as it is typed."""
    match value:
        case None | ():
            return "default"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case tuple():
            return " ".join(repr(item) for item in value)
        case _:
            return str(value)
