"""Names of uvicorn and Starlette that they do not document. ``tests/drift/test_private_names.py`` checks each."""

from __future__ import annotations

from starlette.formparsers import MultiPartException, MultiPartParser
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["H11Protocol", "MultiPartException", "MultiPartParser"]
