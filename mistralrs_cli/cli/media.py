"""The media of a command line: fetched, then decoded as a model wants them, with progress shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..decoded import DecodedImage
from ..messages import DecodedMedia, MediaBytes, MediaRef
from ..options import MediaPolicy
from ..terminal.console import Console
from ..terminal.waiting import waited

if TYPE_CHECKING:
    from ..loading import Checkpoint


def fetch_all(media: Sequence[MediaRef], policy: MediaPolicy, console: Console) -> tuple[MediaBytes, ...]:
    """The bytes of every medium. The status line names one that takes long."""
    from ..media.labels import label
    from ..media.sources import fetch

    fetched = []
    stdin = sys.stdin.buffer if sys.stdin is not None else None
    for number, medium in enumerate(media, start=1):
        place = f" ({number} of {len(media)})" if len(media) > 1 else ""
        if medium.source == "-":  # a thread that holds stdin would keep the process from ending
            with console.status(f"Reading {label(medium.source)}{place}"):
                found = fetch(medium, policy, stdin)
        else:
            found = waited(f"Reading {label(medium.source)}{place}", partial(fetch, medium, policy), console)
        fetched.append(found)
    return tuple(fetched)


def decode_all(
    media: Sequence[MediaBytes], checkpoint: Checkpoint, policy: MediaPolicy, console: Console
) -> tuple[DecodedMedia, ...]:
    """Images, audio and video frames as the checkpoint's family wants them, with a note on what was left out."""
    from ..media import decode
    from ..media.labels import label

    family = checkpoint.family
    decoded = []
    with console.status("Decoding media", len(media)) as status:
        for each in media:
            decoded.append(decode(each, policy, rate=family.audio_rate, sampling=family.sampling))
            status.advance()
    for medium in decoded:
        if isinstance(medium.data, DecodedImage) and medium.data.more:
            console.note(
                f"{label(medium.source)} is animated or has pages; only the first is used. "
                "Use --video for a whole animation."
            )
        if medium.data.note:
            console.note(f"{label(medium.source)}: {medium.data.note}")
    return tuple(decoded)
