"""``/v1/files`` and ``/v1/batches``."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ...errors import OptionError, Overloaded
from ..http.auth import host_name, may_name_files
from ..http.body import Fields, collect_ignored_fields, inlined, pieces
from ..http.compat import MultiPartException, MultiPartParser
from .records import OUTPUT, PURPOSES, Batch, StoredFile, new_id
from .runner import MONTH, BatchRunner

WINDOW = re.compile(r"([1-9]\d{0,4})([mhd])")
UNITS = {"m": 60, "h": 3600, "d": 86400}
SHORTEST = 3600  # seconds that a file can be asked to be kept
MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
PAGE, LARGEST_PAGE = 20, 10_000
UPLOAD_FIELDS = ("file", "purpose", "expires_after[anchor]", "expires_after[seconds]")
Handler = Callable[[Request, BatchRunner], Awaitable[Response]]


class ExpiresAfter(Fields):
    """How long a file is kept."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=SHORTEST, le=MONTH)


class BatchRequest(Fields):
    """``POST /v1/batches``: answer each line of an uploaded file."""

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: ExpiresAfter | None = None


async def upload(request: Request, jobs: BatchRunner) -> Response:
    """``POST /v1/files``: keep a file."""
    store, options = jobs.store(), jobs.service.options
    refuse_foreign_page(request, options.cors_origins)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "The body must be multipart/form-data with a file.")
    collect_ignored_fields(request, options)
    parser = MultiPartParser(request.headers, pieces(request, options.body), max_files=1, max_fields=16)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise OptionError(f"The form cannot be read: {error}") from error
    try:
        content, purpose = form.get("file"), form.get("purpose")
        if not isinstance(content, UploadFile):
            raise OptionError("file is missing.", "Send it as the field file.", param="file")
        if purpose not in PURPOSES:
            problem = "purpose is missing." if purpose is None else f"There is no purpose {str(purpose)[:40]!r} here."
            raise OptionError(problem, f"Use {', '.join(PURPOSES)}.", param="purpose")
        seconds = kept_seconds(form)
        owner = store.owner(key_of(request))
        now = int(time.time())
        filename = (content.filename or "file")[:255]

        def made(size: int) -> StoredFile:
            if not size:
                raise OptionError("The file is empty.", param="file")
            return StoredFile(new_id("file-"), owner, str(purpose), filename, size, now, now + seconds)

        file = await asyncio.to_thread(store.add_file, content.file, made)
    finally:
        await form.close()
    return JSONResponse(file.public())


def kept_seconds(form: Mapping[str, Any]) -> int:
    """How long an uploaded file is kept: a month unless it says less."""
    given = form.get("expires_after[seconds]")
    if given is None:
        return MONTH
    if form.get("expires_after[anchor]", "created_at") != "created_at":
        raise OptionError("expires_after.anchor is created_at.", param="expires_after")
    if not (str(given).isdecimal() and SHORTEST <= int(given) <= MONTH):
        raise OptionError(f"expires_after.seconds is {SHORTEST:,} to {MONTH:,}.", param="expires_after")
    return int(given)


async def list_files(request: Request, jobs: BatchRunner) -> Response:
    """``GET /v1/files``: the files of this key, newest first."""
    store = jobs.store()
    files = await asyncio.to_thread(store.files, store.owner(key_of(request)))
    purpose = request.query_params.get("purpose")
    if request.query_params.get("order") == "asc":
        files.reverse()
    found = [file.public() for file in files if purpose in (None, file.purpose)]
    return JSONResponse(page(found, request, LARGEST_PAGE))


async def get_file(request: Request, jobs: BatchRunner) -> Response:
    """``GET /v1/files/{id}``: what is known of a file."""
    return JSONResponse((await found_file(request, jobs)).public())


async def get_content(request: Request, jobs: BatchRunner) -> Response:
    """``GET /v1/files/{id}/content``: a file itself."""
    file = await found_file(request, jobs)
    kind = "application/jsonl" if file.purpose in ("batch", OUTPUT) else "application/octet-stream"
    return FileResponse(jobs.store().content(file.id), media_type=kind, filename=file.filename)


async def delete_file(request: Request, jobs: BatchRunner) -> Response:
    """``DELETE /v1/files/{id}``: remove a file."""
    file, store = await found_file(request, jobs), jobs.store()
    for batch in await asyncio.to_thread(store.unfinished):
        if batch.input_file_id == file.id:
            raise HTTPException(409, f"{batch.id} is answering the lines of this file: cancel it first.")
    await asyncio.to_thread(store.remove_file, file)
    return JSONResponse({"id": file.id, "object": "file", "deleted": True})


async def create_batch(request: Request, jobs: BatchRunner) -> Response:
    """``POST /v1/batches``: answer each line of an uploaded file."""
    store, options = jobs.store(), jobs.service.options
    body = await BatchRequest.from_request(request, options)
    owner = store.owner(key_of(request))
    if body.endpoint not in jobs.endpoints:
        raise OptionError(
            f"There are no batches of {body.endpoint[:80]!r}.", f"Use {', '.join(jobs.endpoints)}.", param="endpoint"
        )
    window = WINDOW.fullmatch(body.completion_window)
    if window is None or int(window[1]) * UNITS[window[2]] > MONTH:
        raise OptionError("completion_window is a time such as 24h, 30m or 7d.", param="completion_window")
    check_metadata(body.metadata)
    file = await asyncio.to_thread(store.file, body.input_file_id, owner)
    if file is None:
        raise HTTPException(404, f"There is no file {body.input_file_id[:80]!r}.")
    if file.purpose != "batch":
        raise OptionError(f"The file has the purpose {file.purpose}.", "Upload it for batch.", param="input_file_id")
    if len(await asyncio.to_thread(store.unfinished)) >= options.batches:
        raise Overloaded(
            f"{options.batches} batches have not ended, the most this server takes.",
            "Try again later; --max-batches allows more.",
            retry_after=60,
        )
    version = str(request.scope.get("http_version", "1.1"))
    now = int(time.time())
    batch = Batch(
        id=new_id("batch_"),
        owner=owner,
        local_files=may_name_files(request.headers, options, version),
        endpoint=body.endpoint,
        input_file_id=file.id,
        completion_window=body.completion_window,
        created_at=now,
        expires_at=now + int(window[1]) * UNITS[window[2]],
        metadata=body.metadata,
        output_seconds=None if body.output_expires_after is None else body.output_expires_after.seconds,
    )
    await asyncio.to_thread(store.put_batch, batch)
    jobs.begin(batch)
    return JSONResponse(batch.public())


def check_metadata(metadata: Mapping[str, str] | None) -> None:
    """Raise ``OptionError`` for more than OpenAI takes."""
    given = metadata or {}
    if len(given) > MOST_METADATA or any(
        len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE for key, value in given.items()
    ):
        raise OptionError(
            f"metadata has {MOST_METADATA} keys of {LONGEST_KEY} characters at most, with {LONGEST_VALUE} each.",
            param="metadata",
        )


async def list_batches(request: Request, jobs: BatchRunner) -> Response:
    """``GET /v1/batches``: the batches of this key, newest first."""
    store = jobs.store()
    found = await asyncio.to_thread(store.batches, store.owner(key_of(request)))
    return JSONResponse(page([batch.public() for batch in found], request, PAGE))


async def get_batch(request: Request, jobs: BatchRunner) -> Response:
    """``GET /v1/batches/{id}``: how far a batch is."""
    return JSONResponse((await found_batch(request, jobs)).public())


async def cancel_batch(request: Request, jobs: BatchRunner) -> Response:
    """``POST /v1/batches/{id}/cancel``: end a batch; what is answered by now is kept."""
    batch = await found_batch(request, jobs)
    if not batch.unfinished:
        raise HTTPException(409, f"{batch.id} has ended: it is {batch.status}.")
    return JSONResponse((await jobs.cancel(batch)).public())


async def found_file(request: Request, jobs: BatchRunner) -> StoredFile:
    """The file that a path names. Raises 404 for none of this key's."""
    store, name = jobs.store(), request.path_params["name"]
    file = await asyncio.to_thread(store.file, name, store.owner(key_of(request)))
    if file is None:
        raise HTTPException(404, f"There is no file {name[:80]!r}.")
    return file


async def found_batch(request: Request, jobs: BatchRunner) -> Batch:
    """The batch that a path names. Raises 404 for none of this key's."""
    store, name = jobs.store(), request.path_params["name"]
    batch = await asyncio.to_thread(store.batch, name, store.owner(key_of(request)))
    if batch is None:
        raise HTTPException(404, f"There is no batch {name[:80]!r}.")
    return batch


def page(items: Sequence[Mapping[str, Any]], request: Request, default: int) -> dict[str, Any]:
    """The objects behind ``after``, ``limit`` of them."""
    limit, after = request.query_params.get("limit", str(default)), request.query_params.get("after")
    if not (limit.isdecimal() and 1 <= int(limit) <= LARGEST_PAGE):
        raise OptionError(f"limit is 1 to {LARGEST_PAGE:,}.", param="limit")
    start = next((index + 1 for index, item in enumerate(items) if item["id"] == after), 0)
    shown = items[start : start + int(limit)]
    return {
        "object": "list",
        "data": list(shown),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + len(shown) < len(items),
    }


def key_of(request: Request) -> str | None:
    """What the files of a request belong to: the key it came with, if keys are asked for."""
    owner: str | None = getattr(request.state, "owner", None)
    return owner


def refuse_foreign_page(request: Request, origins: Sequence[str]) -> None:
    """Raise 403 for a form that a page of another site sends: browsers do not ask the server before."""
    origin = request.headers.get("origin")
    if origin is None or origin in origins or "*" in origins:
        return
    if urlsplit(origin).hostname != host_name(request.headers.get("host", "")).lower():
        raise HTTPException(403, "A page of another site may not store files here; --cors-origin allows it.")


ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("POST", "/v1/files", "upload", upload),
    ("GET", "/v1/files", "files", list_files),
    ("GET", "/v1/files/{name}", "file", get_file),
    ("DELETE", "/v1/files/{name}", "delete file", delete_file),
    ("GET", "/v1/files/{name}/content", "file content", get_content),
    ("POST", "/v1/batches", "create batch", create_batch),
    ("GET", "/v1/batches", "batches", list_batches),
    ("GET", "/v1/batches/{name}", "batch", get_batch),
    ("POST", "/v1/batches/{name}/cancel", "cancel batch", cancel_batch),
)


def add_routes(app: FastAPI, jobs: BatchRunner) -> None:
    """The paths of files and batch jobs."""
    text, file = {"type": "string"}, {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["file", "purpose"],
        "properties": {name: file if name == "file" else text for name in UPLOAD_FIELDS},
    }
    bodies = {
        upload: {"multipart/form-data": {"schema": form}},
        create_batch: {"application/json": {"schema": inlined(BatchRequest)}},
    }
    for method, path, name, handler in ROUTES:
        extra: dict[str, Any] = {}
        if handler in bodies:
            extra["requestBody"] = {"required": True, "content": bodies[handler]}
        if "{name}" in path:
            extra["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": text}]
        app.add_api_route(
            path,
            endpoint_of(handler, jobs),
            methods=[method],
            name=name,
            summary=(handler.__doc__ or "").strip(),
            response_class=JSONResponse,
            openapi_extra=extra,
        )


def endpoint_of(handler: Handler, jobs: BatchRunner) -> Callable[[Request], Awaitable[Response]]:
    """A handler as FastAPI takes it."""

    async def endpoint(request: Request) -> Response:
        return await handler(request, jobs)

    return endpoint
