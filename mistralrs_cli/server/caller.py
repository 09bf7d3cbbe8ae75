"""Who sends a request, as far as it matters to the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..options import MediaPolicy, Priority
from .uploads import Uploaded, no_uploads

BATCH_LINE = "batch_line"
"""In the state of a request that a front makes of a line of a batch: whether the line may name any local file."""


@dataclass(frozen=True)
class Caller:
    """``media_roots`` are the folders whose files its media may be read from; ``None`` is every folder.

    What is known of the answer goes into ``log_fields``, for the log line about the request. A ``policy`` is that of a
    caller who is the server's own user: it counts in place of the server's limits. ``decoded`` is called with the
    number of each medium that is decoded. Requests of priority ``batch`` have places and memory of their own.
    ``uploaded`` reads what the caller has sent before.
    """

    media_roots: tuple[str, ...] | None = ()
    log_fields: dict[str, object] = field(default_factory=dict)
    policy: MediaPolicy | None = None
    priority: Priority = "interactive"
    decoded: Callable[[int], None] = lambda number: None
    uploaded: Uploaded = no_uploads
