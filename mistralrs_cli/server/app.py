"""The FastAPI app: which path leads where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .. import __version__
from ..errors import MistralrsError
from .exchange import Interface, exchange
from .http import errors
from .http.body import Fields, inlined
from .http.middleware import Log, RequestMiddleware
from .http.tracing import tracing
from .interfaces import schemas
from .interfaces.anthropic import MESSAGES, count_tokens
from .interfaces.chat import CHAT
from .interfaces.completions import COMPLETIONS
from .interfaces.models import load, reload, status, unload
from .interfaces.reference import complete_document
from .interfaces.responses import RESPONSES
from .interfaces.tokens import detokenize, tokenize
from .interfaces.transcription_form import FIELDS
from .interfaces.transcriptions import TRANSCRIPTIONS, TRANSLATIONS
from .jobs.answer import AnswerLine, LinesHere
from .jobs.routes import add_routes
from .jobs.runner import BatchRunner
from .metrics import CONTENT_TYPE
from .page.chats import add_chats
from .page.files import add_files
from .page.report import ReportRequest, report
from .served_model import still_loading
from .service import Service

Handler = Callable[[Request, Service], Awaitable[Response]]
INTERFACES: dict[str, Interface[Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
"""What generates from a JSON body."""
UPLOADS: dict[str, tuple[str, Interface[Any]]] = {
    "/v1/audio/transcriptions": ("speech to text", TRANSCRIPTIONS),
    "/v1/audio/translations": ("speech to English text", TRANSLATIONS),
}
"""What takes a form with a file: what it does, in words, and the interface."""
TOKENS: dict[str, tuple[str, Handler, type[Fields]]] = {
    "/v1/messages/count_tokens": ("count", count_tokens, schemas.CountRequest),
    "/tokenize": ("tokenize", tokenize, schemas.TokenizeRequest),
    "/detokenize": ("detokenize", detokenize, schemas.DetokenizeRequest),
}
"""What counts or converts tokens: the route's name, the handler and the body."""
MODEL_ACTIONS: dict[str, tuple[str, Handler]] = {
    "/v1/models/load": ("load a model", load),
    "/v1/models/unload": ("unload a model", unload),
    "/v1/models/reload": ("reload a model", reload),
    "/v1/models/status": ("status of a model", status),
}
"""What loads and unloads models: the route's name and the handler."""


def create_app(service: Service, log: Log, answer_line: AnswerLine | None = None) -> RequestMiddleware:
    """The whole application over a service, which may still be loading its model.

    ``answer_line`` answers the lines of batch jobs, where these models are not to.
    """
    app = FastAPI(title="mistralrs", version=__version__, redoc_url=None)
    made = app.openapi

    def openapi() -> dict[str, Any]:
        """The description, made once."""
        if app.openapi_schema is None:
            app.openapi_schema = complete_document(made(), keys=service.options.needs_key)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's pages say
    for error in (MistralrsError, HTTPException, Exception):
        app.add_exception_handler(error, errors.handle)
    for path, interface in INTERFACES.items():
        add_post(app, service, path, interface.name, partial(exchange, interface=interface), interface.body)
    for path, (name, handler, form) in TOKENS.items():
        add_post(app, service, path, name, handler, form)
    for path, (does, interface) in UPLOADS.items():
        add_upload(app, service, path, does, interface)
    for path, (name, handler) in MODEL_ACTIONS.items():
        add_post(app, service, path, name, handler, schemas.ModelRequest, f"``POST {path}``: {name}.")
    service.batches = batches = BatchRunner(
        service, INTERFACES, answer_line or LinesHere(service, INTERFACES), lambda facts: log(dict(facts))
    )
    add_routes(app, batches)
    add_reports(app, service)
    if service.options.page:
        add_files(app)
        add_chats(app, service)
        add_post(app, service, "/ui/report", "report", report, ReportRequest)
    if service.options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.options.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "x-ignored-fields"],
        )
    metrics = service.metrics
    return RequestMiddleware(
        app, service.options, service.body_memory, metrics.responded, log, service.keys, metrics.key_used, tracing()
    )


def add_post(
    app: FastAPI,
    service: Service,
    path: str,
    name: str,
    handler: Handler,
    form: type[Fields],
    summary: str | None = None,
) -> None:
    """A route whose JSON body the handler reads itself; the schema is for /docs."""

    async def endpoint(request: Request) -> Response:
        return await handler(request, service)

    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        name=name,
        summary=summary or (form.__doc__ or "").strip(),
        response_class=JSONResponse,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": inlined(form)}}}},
    )


def add_upload(app: FastAPI, service: Service, path: str, does: str, interface: Interface[Any]) -> None:
    """A route that takes a file."""
    text, file = {"type": "string"}, {"type": "string", "format": "binary"}
    fields = {name: file if name == "file" else text for name in FIELDS}
    schema = {"type": "object", "required": ["file"], "properties": fields, "additionalProperties": False}

    async def endpoint(request: Request) -> Response:
        return await exchange(request, service, interface)

    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        name=interface.name,
        summary=f"``POST {path}``: {does}.",
        response_class=JSONResponse,
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}},
    )


def add_reports(app: FastAPI, service: Service) -> None:
    """What can be read of the server itself."""

    @app.get("/health", summary="Whether the server is up.")
    async def health() -> dict[str, Any]:
        if service.several:
            return {"status": "ok", "models": statuses(service)}
        if service.backend is not None:
            service.default.ready()
        return {"status": "ok", "model": service.name}

    @app.get("/ready", summary="Whether the model is loaded, or of several those that are loaded at the start.")
    async def ready() -> dict[str, Any]:
        for model in service.models:
            if model.entry.spec.load and not (model.entry.loads or model.entry.error):
                raise still_loading(model.name)
        service.check_open(service.default)
        if service.several:
            return {"status": "ready", "models": statuses(service)}
        return {"status": "ready", "model": service.name}

    @app.get("/v1/models/", include_in_schema=False)
    @app.get("/v1/models", summary="The models, each under all of its names.")
    async def models() -> dict[str, Any]:
        found = [model.described(service.created, name) for model in service.models for name in model.names]
        return {"object": "list", "data": found}

    @app.get("/v1/models/{name:path}", summary="One model.")
    async def model(name: str) -> dict[str, Any]:
        found = service.model(name)
        return found.described(service.created, None if name == "default" else name)

    @app.get("/metrics", summary="Numbers for Prometheus.", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def statuses(service: Service) -> dict[str, str]:
    """Which models are loaded."""
    return {model.name: model.entry.status for model in service.models}
