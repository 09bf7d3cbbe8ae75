"""Where media are in a prompt: the runs of tokens that stand for them, and what became of each in a few words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from ..messages import Media, Modality

if TYPE_CHECKING:
    from ..media.audio import DecodedAudio
    from ..media.image import DecodedImage
    from ..media.video import DecodedVideo


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


def summary(medium: Media, runs: int) -> str:
    """A decoded medium in a few words: ``640×480 PNG``, ``2.4 s``, ``32 of 250 frames, 10.0 s``."""
    match medium.kind:
        case "image":
            picture: DecodedImage = medium.data
            shrunk = (
                "" if picture.image.size == (picture.width, picture.height) else " → {}×{}".format(*picture.image.size)
            )
            first = ", the first of several frames" if picture.more else ""
            what = f"{picture.width}×{picture.height} {picture.format}{shrunk}{first}"
        case "audio":
            sound: DecodedAudio = medium.data
            what = f"{sound.seconds:.1f} s" + (f" in {runs} windows" if runs > 1 else "")
        case _:
            clip: DecodedVideo = medium.data
            what = f"{len(clip.indices)} of {clip.total} frames, {clip.seconds:.1f} s"
    return f"{what}, {medium.data.note}" if medium.data.note else what
