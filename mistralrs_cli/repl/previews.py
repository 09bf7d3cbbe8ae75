"""Previews of what is attached: once, when it is attached or else when its question is sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..decoded import DecodedImage, DecodedVideo
from ..messages import DecodedMedia, Media, MediaBytes
from ..options import MediaPolicy
from ..terminal import preview
from ..terminal.console import Console
from ..terminal.preview import PreviewMode

if TYPE_CHECKING:
    from PIL.Image import Image


class Previews:
    """Shows images, and frames of videos, to a person at a terminal that can be redrawn."""

    def __init__(self, console: Console, *, redraw: bool) -> None:
        self.console = console
        self.redraw = redraw
        self.seen: set[tuple[str, str | None]] = set()  # of the last question, or attached since

    def attached(self, media: Sequence[Media], mode: PreviewMode) -> None:
        """Show media that wait for a question now."""
        self.show(media, mode)
        self.seen |= keys(media)

    def sent(self, media: Sequence[Media], mode: PreviewMode) -> None:
        """Show media of a question, but those that were shown already; asking it again shows nothing."""
        self.show([medium for medium in media if not keys([medium]) <= self.seen], mode)
        self.seen = keys(media)

    def show(self, media: Sequence[Media], mode: PreviewMode) -> None:
        """Images side by side, then a strip of frames for each video."""
        console = self.console
        if not (self.redraw and console.interactive and console.stdout is not None and console.stdout.isatty()):
            return
        on = preview.canvas(mode, console.stderr.file, console.stderr.color_system, os.environ)  # type: ignore[arg-type]
        if on is None:
            return
        if images := [image for medium in media if (image := pixels(medium)) is not None]:
            console.draw(preview.drawn(preview.strip(images, on), on))
        for medium in media:
            if isinstance(medium, DecodedMedia) and isinstance(medium.data, DecodedVideo):
                console.draw(preview.drawn(preview.strip(preview.frames(medium.data.frames, on), on), on))


def pixels(medium: Media) -> Image | None:
    """The pixels of an image, which is decoded for that where it is not; ``None`` for another medium."""
    if isinstance(medium, MediaBytes) and medium.kind == "image":
        from ..media import decode

        medium = decode(medium, MediaPolicy())
    if isinstance(medium, DecodedMedia) and isinstance(medium.data, DecodedImage):
        return medium.data.image
    return None


def keys(media: Sequence[Media]) -> set[tuple[str, str | None]]:
    """What media are known by: name and content."""
    return {(medium.source, medium.digest) for medium in media}
