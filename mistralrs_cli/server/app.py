"""The FastAPI app: which path leads where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from .. import __version__
from ..errors import MistralrsError
from ..messages import MODALITIES
from .http import errors
from .http.body import Fields
from .http.middleware import Log, RequestMiddleware
from .interfaces import schemas
from .interfaces.anthropic import answer, count
from .interfaces.chat import chat
from .interfaces.completions import complete
from .interfaces.reference import complete_document
from .interfaces.responses import respond
from .interfaces.tokens import detokenize, tokenize
from .interfaces.transcriptions import FIELDS, transcribe
from .metrics import CONTENT_TYPE
from .service import Service

Handler = Callable[[Request, Service], Awaitable[Response]]
POSTS: dict[str, tuple[Handler, type[Fields]]] = {
    "/v1/chat/completions": (chat, schemas.ChatRequest),
    "/v1/completions": (complete, schemas.CompletionRequest),
    "/v1/responses": (respond, schemas.ResponsesRequest),
    "/v1/messages": (answer, schemas.AnthropicRequest),
    "/v1/messages/count_tokens": (count, schemas.CountRequest),
    "/tokenize": (tokenize, schemas.TokenizeRequest),
    "/detokenize": (detokenize, schemas.DetokenizeRequest),
}


def create_app(service: Service, log: Log) -> ASGIApp:
    """The whole application over a service, which may still be loading its model."""
    app = FastAPI(title="mistralrs", version=__version__, redoc_url=None)
    made = app.openapi

    def openapi() -> dict[str, Any]:
        """The description, made once."""
        if app.openapi_schema is None:
            app.openapi_schema = complete_document(made(), keys=bool(service.options.api_keys))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's pages say
    for error in (MistralrsError, HTTPException, Exception):
        app.add_exception_handler(error, errors.handle)
    for path, (handler, form) in POSTS.items():
        add_post(app, service, path, handler, form)
    add_upload(app, service)
    add_reports(app, service)
    if service.options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.options.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "x-ignored-fields"],
        )
    return RequestMiddleware(app, service, log)


def add_post(app: FastAPI, service: Service, path: str, handler: Handler, form: type[Fields]) -> None:
    """A route whose JSON body the handler reads itself; the schema is for /docs."""

    async def endpoint(request: Request) -> Response:
        return await handler(request, service)

    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        name=handler.__name__,
        summary=(form.__doc__ or "").strip(),
        response_class=JSONResponse,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": inlined(form)}}}},
    )


def add_upload(app: FastAPI, service: Service) -> None:
    """The route that takes a file."""
    text, sound = {"type": "string"}, {"type": "string", "format": "binary"}
    fields = {name: sound if name == "file" else text for name in FIELDS}
    schema = {"type": "object", "required": ["file"], "properties": fields, "additionalProperties": False}

    async def endpoint(request: Request) -> Response:
        return await transcribe(request, service)

    app.add_api_route(
        "/v1/audio/transcriptions",
        endpoint,
        methods=["POST"],
        name="transcribe",
        summary="``POST /v1/audio/transcriptions``: the words of a sound.",
        response_class=JSONResponse,
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}},
    )


def inlined(form: type[Fields]) -> dict[str, Any]:
    """A body's JSON schema with its definitions in the places that refer to them."""
    schema = form.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items()}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    found: dict[str, Any] = resolved(schema)
    return found


def add_reports(app: FastAPI, service: Service) -> None:
    """What can be asked of the server itself."""

    @app.get("/health", summary="Whether the server is up.")
    async def health() -> dict[str, str]:
        if service.engine is not None:
            service.ready()
        return {"status": "ok"}

    @app.get("/ready", summary="Whether the model is loaded.")
    async def ready() -> dict[str, str]:
        service.open()
        return {"status": "ready"}

    @app.get("/v1/models/", include_in_schema=False)
    @app.get("/v1/models", summary="The model, under each of its names.")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model_object(service, name) for name in service.names]}

    @app.get("/v1/models/{name:path}", summary="One model.")
    async def model(name: str) -> dict[str, Any]:
        service.check_model(name)
        return model_object(service, service.name if name == "default" else name)

    @app.get("/metrics", summary="Numbers for Prometheus.", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def model_object(service: Service, name: str) -> dict[str, Any]:
    """A model as OpenAI lists it, with what it reads."""
    engine = service.engine
    found: dict[str, Any] = {"id": name, "object": "model", "created": service.created, "owned_by": "mistralrs"}
    if engine is None:
        return found | {"status": "loading"}
    family = engine.loaded.family
    reads = ["text", *(kind for kind in MODALITIES if kind in family.modalities)]
    return found | {
        "status": "loaded",
        "family": family.name,
        "input_modalities": reads,
        "output_modalities": ["text"],
        "max_model_len": engine.loaded.context_length,
    }
