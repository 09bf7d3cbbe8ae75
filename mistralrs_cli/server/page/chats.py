"""The chats of the server's own user over HTTP: those that the terminal keeps, in the same files.

``/ui/chats`` lists them, ``/ui/chats/ID`` is one as the JSON object that ``sessions export`` writes too, and
``/ui/media/SHA256`` holds the bytes of a medium. These are for the page on the user's own machine. Everybody who may
ask the model may send media beforehand to ``/ui/media``, and name them by the address that they get for it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ... import __version__
from ...conversation import Conversation
from ...conversation.model import saved_options
from ...conversation.record import DIGEST, from_object, to_object
from ...conversation.store import Store, Summary
from ...errors import MediaNotFound, MistralrsError, OptionError
from ...messages import MediaRef
from ..http.auth import PAGE
from ..http.body import read
from ..served_model import ServedModel
from ..service import Service
from ..uploads import SCHEME, Uploaded
from .access import check_own, is_locked, is_own

NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
OWN_COPY = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def add_chats(app: FastAPI, service: Service, store: Store | None = None) -> None:
    """The routes of the stored chats, and ``/ui/about``, which says whether they are this caller's."""
    chats = store or Store()

    def uploaded(request: Request) -> Uploaded:
        """What a caller may name: its uploads, and the media of the stored chats where they are its own."""
        owner, own = owner_of(request), is_own(request, service.options)

        def read(address: str) -> bytes:
            try:
                return service.uploads.read(address, owner)
            except MediaNotFound:
                digest = address.removeprefix(SCHEME)
                if not own or not DIGEST.fullmatch(digest):
                    raise
                return chats.read(MediaRef("image", "A medium of this chat", digest=digest))

        return read

    service.uploaded = uploaded

    def take_uploads(conversation: Conversation, owner: str) -> list[str]:
        """Keep what was uploaded of a chat's media; the hashes of those that are nowhere."""
        missing = []
        for digest in {str(medium.digest): None for medium in conversation.media}:
            if not chats.media.is_kept(digest):
                try:
                    chats.keep(service.uploads.of_digest(digest, owner))
                except MediaNotFound:
                    missing.append(digest)
        return missing

    @app.get(PAGE + "about", include_in_schema=False)
    async def about(request: Request) -> Response:
        options = service.options
        limits = {"body": options.body, "image": options.images, "audio": options.audios, "video": options.videos}
        access = {"own": is_own(request, options), "locked": is_locked(request, options)}
        found = {"version": __version__, **access, "limits": limits, "settings": options.page_settings}
        return JSONResponse(found, headers=NEVER_STORED)

    @app.get(PAGE + "chats", include_in_schema=False)
    async def listed(request: Request) -> Response:
        check_own(request, service.options)
        found = await service.in_thread(chats.summaries)
        return JSONResponse({"chats": [summary(one) for one in found]}, headers=NEVER_STORED)

    @app.get(PAGE + "chats/{name}", include_in_schema=False)
    async def one(request: Request, name: str) -> Response:
        check_own(request, service.options)

        def load() -> dict[str, Any]:
            version = chats.version(name)
            if version is None:
                raise HTTPException(404, "There is no such chat.")
            return {"chat": to_object(chats.load(name)), "version": version}

        return JSONResponse(await service.in_thread(load), headers=NEVER_STORED)

    @app.put(PAGE + "chats/{name}", include_in_schema=False)
    async def put(request: Request, name: str) -> Response:
        check_own(request, service.options)
        data = await typed(request, service.options.body, "application/json")

        def save() -> dict[str, Any]:
            chat, version = chat_of(data)
            conversation = from_object(chat, "chat", chats.keep)
            missing = take_uploads(conversation, owner_of(request))
            if conversation.id != name:
                raise OptionError("chat.id is not that of the address.", param="chat")
            conversation.model = conversation.model or saved_options(model_of(conversation, service).entry.spec.options)
            chats.save_over(conversation, version)
            about = {"id": conversation.id, "version": chats.version(conversation.id), "title": conversation.title}
            return about | {"missing": missing}

        return JSONResponse(await service.in_thread(save), headers=NEVER_STORED)

    @app.delete(PAGE + "chats/{name}", include_in_schema=False)
    async def delete(request: Request, name: str) -> Response:
        check_own(request, service.options)

        def remove() -> None:
            if chats.version(name) is None:
                raise HTTPException(404, "There is no such chat.")
            chats.delete(chats.load(name))

        await service.in_thread(remove)
        return Response(status_code=204, headers=NEVER_STORED)

    @app.get(PAGE + "media/{digest}", include_in_schema=False)
    async def medium(request: Request, digest: str) -> Response:
        check_own(request, service.options)
        if not DIGEST.fullmatch(digest):
            raise HTTPException(404, "There is no such medium.")
        data = await service.in_thread(lambda: chats.read(MediaRef("image", "", digest=digest)))
        return Response(data, media_type="application/octet-stream", headers=OWN_COPY)

    @app.post(PAGE + "media", include_in_schema=False)
    async def keep(request: Request) -> Response:
        data = await typed(request, service.options.body, "application/octet-stream")
        url = await service.in_thread(lambda: service.uploads.keep(data, owner_of(request)))
        return JSONResponse({"url": url}, headers=NEVER_STORED)


def owner_of(request: Request) -> str:
    """Whose uploads a request may name; where no keys are needed, they are told apart by their names alone."""
    return getattr(request.state, "owner", None) or ""


def model_of(conversation: Conversation, service: Service) -> ServedModel:
    """The model that a chat was held with, or the default one where that is not here."""
    try:
        return service.model(conversation.turns[-1].model)
    except (IndexError, MistralrsError):
        return service.default


async def typed(request: Request, limit: int, kind: str) -> bytes:
    """The body of a request. Raises 415 for another type: pages from elsewhere may send some without asking."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != kind:
        raise HTTPException(415, f"The body must be {kind}.")
    return await read(request, limit)


def chat_of(data: bytes) -> tuple[Any, str | None]:
    """The chat in a body, and the version of it that the page has changed; ``None`` for a new one."""
    try:
        found = json.loads(data)
        return found["chat"], None if found["version"] is None else str(found["version"])
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise OptionError('The body is not {"chat": …, "version": …}.') from error


def summary(found: Summary) -> dict[str, Any]:
    """A chat in the list; when it was changed, in ISO's form."""
    return asdict(found) | {"changed": found.changed.isoformat()}
