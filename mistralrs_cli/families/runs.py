"""Where media are in a prompt: the runs of tokens that stand for them, and what became of each in a few words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from ..decoded import Decoded, DecodedAudio, DecodedImage, DecodedVideo
from ..messages import DecodedMedia, Modality

PLACES = "text_replacement_offsets"  # under which a processor says what it put in the place of each medium


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


def replaced(
    places: Sequence[Mapping[str, Any]], kinds: Sequence[Modality], pieces: Sequence[int], tokens: Collection[str]
) -> list[int] | None:
    """How many of the placeholder ``tokens`` each medium takes, by the texts that stand for them in the prompt.

    A medium of ``kinds`` has so many ``pieces``. ``None`` where the texts are not those of the media, one by one.
    """
    texts = {kind: [place["replacement"] for place in places if place["type"] == kind] for kind in set(kinds)}
    wanted = {kind: sum(n for other, n in zip(kinds, pieces, strict=True) if other == kind) for kind in set(kinds)}
    if any(len(texts[kind]) != wanted[kind] for kind in wanted):
        return None
    left = {kind: iter(found) for kind, found in texts.items()}
    return [
        sum(text.count(token) for text in islice(left[kind], count) for token in tokens)
        for kind, count in zip(kinds, pieces, strict=True)
    ]


def summary(decoded: Decoded, runs: int) -> str:
    """A decoded medium in a few words: ``640×480 PNG``, ``2.4 s``, ``32 of 250 frames, 10.0 s``."""
    match decoded:
        case DecodedImage(image, width, height):
            shrunk = "" if image.size == (width, height) else " → {}×{}".format(*image.size)
            first = ", the first of several frames" if decoded.more else ""
            what = f"{width}×{height} {decoded.format}{shrunk}{first}"
        case DecodedAudio():
            what = f"{decoded.seconds:.1f} s" + (f" in {runs} windows" if runs > 1 else "")
        case DecodedVideo():
            what = f"{len(decoded.indices)} of {decoded.total} frames, {decoded.seconds:.1f} s"
    return f"{what}, {decoded.note}" if decoded.note else what


def sound_note(medium: DecodedMedia, *, hears: bool) -> str:
    """What becomes of the sound of a video, where that is not what a user may expect. ``hears``: the model reads
    audio."""
    data = medium.data
    if not isinstance(data, DecodedVideo):
        return ""
    if medium.options.soundtrack:
        return "" if data.sound else ", without sound of its own"
    return ", its sound not given (--soundtrack)" if data.sound and hears else ""
