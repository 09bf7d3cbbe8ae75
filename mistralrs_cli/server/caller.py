"""Who sends a request, as far as it matters to the answer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caller:
    """``media_roots`` are the folders whose files its media may be read from; ``None`` is every folder.

    What is known of the answer goes into ``log_fields``, for the log line about the request.
    """

    media_roots: tuple[str, ...] | None = ()
    log_fields: dict[str, object] = field(default_factory=dict)
