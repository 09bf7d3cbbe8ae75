"""Prompts that begin like earlier ones: what of their KV cache can be used again.

Tokens alone do not say what a prompt holds: every image of one size has the same placeholders. So a medium's
placeholders match only where the digests of its decoded content do, and a medium is never split.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from ...decoded import DecodedAudio, DecodedImage, DecodedVideo
from ...families import Prepared
from ...messages import DecodedMedia
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Span:
    """Where a medium's placeholders begin and end in a prompt, and the digest of its content."""

    start: int
    end: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """A sequence of tokens with the media among them. Those with different ``reuse_key`` have nothing in common."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    reuse_key: Hashable

    def common(self, other: Prefix) -> int:
        """How many tokens both begin with, media and all."""
        if self.reuse_key != other.reuse_key:
            return 0
        same = next(
            (place for place, (mine, theirs) in enumerate(zip(self.ids, other.ids, strict=False)) if mine != theirs),
            min(len(self.ids), len(other.ids)),
        )
        for mine, theirs in zip_longest(self.spans, other.spans):
            starts = [span.start for span in (mine, theirs) if span is not None]
            if min(starts) < same and (mine is None or mine != theirs or mine.end > same):
                return min(starts)
        return same

    def begins(self, other: Prefix, tokens: int) -> bool:
        """Whether both begin with the same ``tokens`` tokens, which split no medium of the other, media and all."""
        mine, theirs = ([span for span in one.spans if span.start < tokens] for one in (self, other))
        return self.reuse_key == other.reuse_key and self.ids[:tokens] == other.ids[:tokens] and mine == theirs

    def extended(self, ids: Sequence[int]) -> Prefix:
        """The same media, and more tokens."""
        return Prefix(tuple(ids), self.spans, self.reuse_key)


def prefix_of(
    prepared: Prepared, media: Sequence[DecodedMedia], placeholders: Iterable[int], reuse_key: Hashable
) -> Prefix | None:
    """What a prompt is known by, or ``None`` where its media cannot be told apart in it."""
    ids = prepared.inputs["input_ids"][0].tolist()
    known = frozenset(placeholders)
    places = [place for place, token in enumerate(ids) if token in known]
    counts = [report.tokens for report in prepared.media]
    if len(counts) != len(media) or sum(counts) != len(places) or not all(counts):
        return None
    spans = []
    for medium, count in zip(media, counts, strict=True):
        own, places = places[:count], places[count:]
        spans.append(Span(own[0], own[-1] + 1, digest(medium)))
    return Prefix(tuple(ids), tuple(spans), reuse_key)


def digest(medium: DecodedMedia) -> bytes:
    """A digest of a medium's decoded content: pixels, samples, or frames and their times."""
    found = hashlib.sha256(medium.kind.encode())
    match medium.data:
        case DecodedImage(image):
            found.update(f"{image.mode} {image.size}".encode())
            found.update(image.tobytes())
        case DecodedAudio(samples, rate):
            found.update(f"{rate} {samples.shape}".encode())
            found.update(samples.tobytes())
        case DecodedVideo(frames) as video:
            found.update(f"{video.fps} {video.total} {video.times} {video.indices} {frames.shape}".encode())
            found.update(frames.tobytes())
    return found.digest()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A kept cache and the tokens in it."""

    prefix: Prefix
    stored: Snapshot


class PrefixStore:
    """The caches of the latest conversations, at most ``entries`` of them and ``size`` bytes. Threads may share it."""

    def __init__(self, entries: int, size: int) -> None:
        self.entries = entries
        self.size = size
        self._kept: list[Entry] = []  # the latest last
        self._lock = threading.Lock()

    def find(self, prefix: Prefix) -> tuple[Snapshot, int] | None:
        """The cache that saves most of a prompt, and how many tokens of it to use; the last token is always run."""
        best, most = None, 0
        with self._lock:
            for entry in self._kept:
                usable = min(entry.prefix.common(prefix), entry.stored.tokens, len(prefix.ids) - 1)
                usable = whole_media(prefix, usable)
                if usable < entry.stored.tokens and not entry.stored.croppable:
                    continue
                if usable > most:
                    best, most = entry, usable
            if best is None:
                return None
            self._kept.remove(best)
            self._kept.append(best)
        return best.stored, most

    def take(self, prefix: Prefix, plan: Plan) -> Reuse | None:
        """What is planned with, if a cache that holds it is kept still: another may have come in its place."""
        with self._lock:
            for entry in reversed(self._kept):
                more = entry.stored.tokens - plan.tokens
                if (more == 0 or (more > 0 and entry.stored.croppable)) and entry.prefix.begins(prefix, plan.tokens):
                    return Reuse(entry.stored, plan.tokens, plan.fresh)
        return None

    def keep(self, prefix: Prefix, stored: Snapshot) -> None:
        """Keep a cache; those that it makes needless, and the oldest past the limits, are dropped."""
        size = stored.size
        if size > self.size or not stored.tokens:
            return
        entry = Entry(prefix, stored)
        with self._lock:
            self._kept = [old for old in self._kept if not covers(entry, old)]
            self._kept.append(entry)
            sizes = [old.stored.size for old in self._kept]
            while len(self._kept) > self.entries or sum(sizes) > self.size:
                del self._kept[0], sizes[0]

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._kept.clear()

    @property
    def taken(self) -> int:
        """Bytes of all that is kept."""
        with self._lock:
            return sum(entry.stored.size for entry in self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def covers(new: Entry, old: Entry) -> bool:
    """Whether whatever the old cache can save, the new one can."""
    if new.prefix.common(old.prefix) < old.stored.tokens:
        return False
    return new.stored.croppable or new.stored.tokens == old.stored.tokens


def whole_media(prefix: Prefix, tokens: int) -> int:
    """The length cut back to the start of a medium it would split."""
    return next((span.start for span in prefix.spans if span.start < tokens < span.end), tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How many of a prompt's first tokens a kept cache holds, and the processor's outputs for the media after them.

    A request that waits has the plan alone: it keeps no cache from being dropped, however long it waits.
    """

    tokens: int
    fresh: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reuse:
    """A kept cache for a prompt's first ``tokens`` tokens, and the processor's outputs for the media after them."""

    stored: Snapshot
    tokens: int
    fresh: dict[str, Any]


def media_inputs(inputs: dict[str, Any]) -> dict[str, Any]:
    """Of a processor's outputs those that are not one value a token."""
    shape = inputs["input_ids"].shape
    return {key: value for key, value in inputs.items() if getattr(value, "shape", None) != shape}


def suffix_media(prefix: Prefix, media: Sequence[DecodedMedia], tokens: int) -> tuple[DecodedMedia, ...]:
    """The media that come after the first ``tokens`` tokens."""
    return tuple(medium for medium, span in zip(media, prefix.spans, strict=True) if span.start >= tokens)
