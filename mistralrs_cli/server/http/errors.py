"""Errors as HTTP responses: a status, and a body in the form of OpenAI or of Anthropic."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from ...errors import MistralrsError, Overloaded
from ...wording import over_http

ANTHROPIC = "/v1/messages"
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ANTHROPIC_TYPES = TYPES | {404: "not_found_error", 413: "request_too_large", 500: "api_error", 503: "overloaded_error"}
STATUS_CODES = {
    401: "invalid_api_key",
    404: "unknown_url",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    414: "path_too_long",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
    431: "header_too_large",
    503: "unavailable",
}
ELSEWHERE = {
    "/v1/embeddings": "Embeddings are not supported",
    "/v1/rerank": "Reranking is not supported",
    "/v1/moderations": "Moderation is not supported",
    "/v1/images": "Images are not generated here, only read, at /v1/chat/completions",
    "/v1/videos": "Videos are not generated here, only read, at /v1/chat/completions",
    "/v1/audio/speech": "Speech is not generated here",
    "/v1/uploads": "Files are not stored here: send media in the request",
    "/v1/assistants": "Assistants are not supported",
    "/v1/threads": "Threads are not supported",
    "/v1/fine_tuning": "Fine-tuning is not supported",
    "/v1/realtime": "Live sessions are not supported",
    "/v1/responses/": "Responses are not stored here",
    "/api/": "This is not Ollama's interface: it is OpenAI's, at /v1/chat/completions",
    "/chat/completions": "The path is /v1/chat/completions: a base address ends in /v1",
    "/completions": "The path is /v1/completions: a base address ends in /v1",
    "/responses": "The path is /v1/responses: a base address ends in /v1",
    "/messages": "The path is /v1/messages",
    "/v1/v1": "The base address of the client has /v1 twice",
    "/ui": "This server has no page for browsers: it was started with --no-ui",
}
"""What other servers have and this one has not, by the beginning of its path."""
CLIENT_CLOSED_REQUEST = 499  # nginx's number, for the log: the client has left


def details(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Status, message, field and code of an error."""
    match error:
        case MistralrsError():
            message = f"{sentence(error.message)} {error.hint}" if error.hint else error.message
            return error.http_status, over_http(message), error.param, error.code
        case HTTPException(status_code=status, detail=detail):
            return status, str(detail), None, STATUS_CODES.get(status)
    return 500, "The server failed on this request; its log says more.", None, "internal_error"


def sentence(text: str) -> str:
    """A text with a full stop, if it has no end of its own."""
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def body(error: Exception, path: str, request_id: str | None = None) -> dict[str, Any]:
    """The body that clients of this path expect; Anthropic's name the request."""
    status, message, param, code = details(error)
    if path.startswith(ANTHROPIC):
        kind = ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}, "message": message}


def headers(error: Exception) -> dict[str, str]:
    """When to come back, and whatever the error itself brings."""
    if isinstance(error, Overloaded):
        return {"Retry-After": str(error.retry_after)}
    found = dict(getattr(error, "headers", None) or {})
    return found | ({"Retry-After": "5"} if details(error)[0] == 503 else {})


def response(error: Exception, path: str, request_id: str | None = None) -> JSONResponse:
    """The whole response."""
    return JSONResponse(body(error, path, request_id), status_code=details(error)[0], headers=headers(error))


def with_alternatives(error: HTTPException, method: str, path: str) -> HTTPException:
    """A 404 or 405 of the router that says what is there instead."""
    if error.status_code == 404 and error.detail == "Not Found":
        beginnings = (words for start, words in ELSEWHERE.items() if path.startswith(start))
        words = next(beginnings, f"There is no {path[:200]} here" if path != "/" else "There is no page here")
        return HTTPException(404, f"{words}. The paths are in /docs and /openapi.json.", headers=error.headers)
    if error.status_code == 405 and error.detail == "Method Not Allowed":
        allowed = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow") or "POST"
        return HTTPException(405, f"{path[:200]} takes {allowed}, not {method}.", headers=error.headers)
    return error


async def handle(request: Request, error: Exception) -> JSONResponse:
    """What the app does with an exception."""
    path = request.scope["path"]
    if isinstance(error, HTTPException):
        error = with_alternatives(error, request.method, path)
    log_fields = getattr(request.state, "log_fields", None)
    request.state.log_fields = (log_fields or {}) | {"error": details(error)[3] or details(error)[0]}
    return response(error, path, getattr(request.state, "request_id", None))
