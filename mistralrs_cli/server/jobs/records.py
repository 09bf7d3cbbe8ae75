"""A stored file and a batch job, and how OpenAI writes each."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
UNFINISHED: tuple[Status, ...] = ("validating", "in_progress", "finalizing", "cancelling")
PURPOSES = ("batch", "user_data", "vision")
OUTPUT = "batch_output"


def new_id(prefix: str) -> str:
    """An id that cannot be guessed."""
    return f"{prefix}{uuid.uuid4().hex}"


@dataclass(frozen=True)
class StoredFile:
    """A file: ``owner`` is whose key it came with, times are Unix seconds, ``size`` is in bytes."""

    id: str
    owner: str
    purpose: str
    filename: str
    size: int
    created_at: int
    expires_at: int | None = None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and time.time() >= self.expires_at

    def public(self) -> dict[str, Any]:
        """The object that clients see."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


@dataclass(frozen=True)
class Counts:
    """Lines of a batch that have an answer, those that failed, and the tokens of the answers."""

    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Batch:
    """A batch job. ``local_files`` says that its lines may name files as a request of this machine's user may.

    ``times`` are Unix seconds of each status it had, ``errors`` what was wrong with the input, ``total`` its lines;
    ``output_seconds`` is how long its output is kept, ``end`` the status that finalizing leads to.
    """

    id: str
    owner: str
    local_files: bool
    endpoint: str
    input_file_id: str
    completion_window: str
    created_at: int
    expires_at: int
    status: Status = "validating"
    metadata: Mapping[str, str] | None = None
    output_seconds: int | None = None
    times: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[Mapping[str, Any], ...] = ()
    total: int = 0
    counts: Counts = field(default_factory=Counts)
    end: Status = "completed"
    output_file_id: str | None = None
    error_file_id: str | None = None
    model: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether something is left to do."""
        return self.status in UNFINISHED

    def stored(self) -> str:
        """The batch as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def restored(cls, text: str) -> Batch:
        """The batch of ``stored``."""
        value = json.loads(text)
        return cls(**value | {"counts": Counts(**value["counts"]), "errors": tuple(value["errors"])})

    def public(self) -> dict[str, Any]:
        """The object that clients see."""
        counts = self.counts
        times = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model,
            "errors": {"object": "list", "data": list(self.errors)} if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            **{f"{name}_at": self.times.get(name) for name in times},
            "request_counts": {"total": self.total, "completed": counts.completed, "failed": counts.failed},
            "usage": {
                "input_tokens": counts.input_tokens,
                "input_tokens_details": {"cached_tokens": counts.cached_tokens},
                "output_tokens": counts.output_tokens,
                "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
                "total_tokens": counts.input_tokens + counts.output_tokens,
            },
            "metadata": None if self.metadata is None else dict(self.metadata),
        }


@dataclass(frozen=True)
class LineResult:
    """What came of line ``number`` of a batch: a line of the output file, or of the error file where it ``failed``."""

    number: int
    failed: bool
    line: bytes
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
