"""Errors as HTTP says them: a status, and a body in the form of OpenAI or of Anthropic."""

from __future__ import annotations

import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..errors import ContextOverflow, MistralrsError, ModelNotFound, Overloaded
from ..wording import over_http

ANTHROPIC = "/v1/messages"
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ANTHROPIC_TYPES = TYPES | {404: "not_found_error", 413: "request_too_large", 500: "api_error", 503: "overloaded_error"}
CODES: dict[type[Exception], str] = {
    ContextOverflow: "context_length_exceeded",
    Overloaded: "rate_limit_exceeded",
    ModelNotFound: "model_not_found",
}
CLIENT_LEFT = 499  # nginx's number: nobody is left to read it


def problem(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Status, message, field and code of an error."""
    match error:
        case MistralrsError():
            message = f"{error.message} {error.hint}" if error.hint else error.message
            return (
                error.http_status,
                over_http(message),
                error.param,
                CODES.get(type(error)) or snake(type(error).__name__),
            )
        case HTTPException(status_code=status, detail=detail):
            return status, str(detail), None, None
    return 500, "The server failed on this request; its log says more.", None, "internal_error"


def snake(name: str) -> str:
    """``MediaNotFound`` → ``media_not_found``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def body(error: Exception, path: str) -> dict[str, Any]:
    """The body that clients of this path expect."""
    status, message, param, code = problem(error)
    if path.startswith(ANTHROPIC):
        kind = ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}, "message": message}


def headers(error: Exception) -> dict[str, str]:
    """When to come back, and whatever the error itself brings."""
    if isinstance(error, Overloaded):
        return {"Retry-After": str(error.retry_after)}
    found = dict(getattr(error, "headers", None) or {})
    return found | ({"Retry-After": "5"} if problem(error)[0] == 503 else {})


def response(error: Exception, path: str) -> JSONResponse:
    """The whole response."""
    return JSONResponse(body(error, path), status_code=problem(error)[0], headers=headers(error))


async def handle(request: Request, error: Exception) -> JSONResponse:
    """What the app does with an exception."""
    return response(error, request.url.path)
