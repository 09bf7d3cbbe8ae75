"""The files of the page, as ``make ui`` builds them from ``web/``, and what a browser may do with them."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..http.auth import PAGE

BUILT = Path(__file__).parent / "built"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)
"""Nothing from elsewhere, no script or style that stands in the page itself, and no text made into elements unless
DOMPurify has seen it."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
}
FOR_GOOD = "public, max-age=31536000, immutable"
"""For files that carry a hash of their content in their names."""


def add_files(app: FastAPI) -> None:
    """The routes of the page. It names everything relative to itself, so it works below any prefix."""

    @app.get("/", include_in_schema=False)
    @app.get("/ui", include_in_schema=False)
    async def to_page() -> Response:
        return RedirectResponse(PAGE.removeprefix("/"), 307, {"Cache-Control": "no-cache"})

    @app.get(PAGE, include_in_schema=False)
    async def page(request: Request) -> Response:
        return file(request, "index.html", "no-cache")

    @app.get(PAGE + "assets/{name}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        return file(request, f"assets/{name}", FOR_GOOD)


def file(request: Request, name: str, caching: str) -> Response:
    """A file of the page; 304 where the browser has it. Raises 404."""
    if name not in names():
        raise HTTPException(404, "The page has no such file.")
    data = (BUILT / name).read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = HEADERS | {"Cache-Control": caching, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    mime = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(data, media_type=mime, headers=headers)


TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""Not what the system's own table of types says, which may be anything."""


def names() -> frozenset[str]:
    """The files there are, by their paths below the page."""
    return frozenset(path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*") if path.is_file())
