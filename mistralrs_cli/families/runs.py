"""Where media are in a prompt: the runs of tokens that stand for them, and what became of each in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..messages import Media

if TYPE_CHECKING:
    from ..media.audio import Sound
    from ..media.image import Picture
    from ..media.video import Clip


def placeholder_runs(ids: Sequence[int], placeholders: frozenset[int]) -> Iterator[int]:
    """The lengths of the runs of placeholder tokens in a prompt, in order."""
    for is_placeholder, run in groupby(ids, placeholders.__contains__):
        if is_placeholder:
            yield sum(1 for _ in run)


def closed_runs(ids: Sequence[int], placeholders: frozenset[int], end: int) -> Iterator[int]:
    """How many placeholder tokens there are up to each closing token, in order; none at all is no medium."""
    count = 0
    for token in ids:
        count += token in placeholders
        if token == end and count:
            yield count
            count = 0


def summary(medium: Media, runs: int) -> str:
    """A decoded medium in a few words: ``640×480 PNG``, ``2.4 s``, ``32 of 250 frames, 10.0 s``."""
    match medium.kind:
        case "image":
            picture: Picture = medium.data
            shrunk = (
                "" if picture.image.size == (picture.width, picture.height) else " → {}×{}".format(*picture.image.size)
            )
            first = ", the first of several frames" if picture.more else ""
            what = f"{picture.width}×{picture.height} {picture.format}{shrunk}{first}"
        case "audio":
            sound: Sound = medium.data
            what = f"{sound.seconds:.1f} s" + (f" in {runs} windows" if runs > 1 else "")
        case _:
            clip: Clip = medium.data
            what = f"{len(clip.indices)} of {clip.total} frames, {clip.seconds:.1f} s"
    return f"{what}, {medium.data.note}" if medium.data.note else what
