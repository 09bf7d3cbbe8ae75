"""``POST /v1/models/load``, ``/unload``, ``/reload`` and ``/status``: which models are in memory."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...errors import OptionError
from ..http.sse import cancel_on_disconnect
from ..served_model import ServedModel
from ..service import Service
from .schemas import ModelRequest


async def load(http_request: Request, service: Service) -> Response:
    """Have a model loaded, and answer once it is. It stays for ``keep_alive``, as after an answer."""
    body, model = await asked(http_request, service)
    keep = service.kept(model, body.keep_alive)

    async def answer() -> Response:
        with await service.use(model) as lease:
            lease.keep = keep
        return state(model)

    return await cancel_on_disconnect(http_request, answer)


async def unload(http_request: Request, service: Service) -> Response:
    """Have a model unloaded once what it is answering has ended, and answer then. A request loads it again."""
    _, model = await asked(http_request, service)
    require_loading(service, model)

    async def answer() -> Response:
        await unloaded(service, model)
        return state(model)

    return await cancel_on_disconnect(http_request, answer)


async def reload(http_request: Request, service: Service) -> Response:
    """Have a model unloaded, if it is loaded, and loaded again from its files."""
    body, model = await asked(http_request, service)
    require_loading(service, model)
    keep = service.kept(model, body.keep_alive)

    async def answer() -> Response:
        await unloaded(service, model)
        model.entry.stale = True
        with await service.use(model) as lease:
            lease.keep = keep
        return state(model)

    return await cancel_on_disconnect(http_request, answer)


async def status(http_request: Request, service: Service) -> Response:
    """Say whether a model is loaded."""
    _, model = await asked(http_request, service)
    return state(model)


async def asked(http_request: Request, service: Service) -> tuple[ModelRequest, ServedModel]:
    """Which model a request is about: the default one where it names none. Raises ``ModelNotFound``."""
    body = await ModelRequest.from_request(http_request, service.options)
    if body.model is not None and body.model_id not in (None, body.model):
        raise OptionError("model and model_id name two models.", "Send one of them.", param="model_id")
    model = service.model(body.model or body.model_id)
    http_request.state.log_fields = {"model": model.name}
    return body, model


async def unloaded(service: Service, model: ServedModel) -> None:
    """Return once a model is unloaded."""
    await asyncio.wrap_future(service.registry.unload(model.entry))


def require_loading(service: Service, model: ServedModel) -> None:
    """Raise ``OptionError`` where a model was given to this process, and 503 where it takes no requests now."""
    service.check_open(model)
    if not service.loads:
        raise OptionError(f"{model.name} stays as long as this process.", param="model")


def state(model: ServedModel) -> Response:
    """A model's name, and whether it is loaded."""
    return JSONResponse({"model_id": model.name, "status": model.entry.status})
