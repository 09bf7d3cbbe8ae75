"""``POST /ui/report``: what the model gets of media, before a question about them is sent."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...decoded import DecodedAudio, DecodedImage, DecodedVideo
from ...media.labels import label, notes_on
from ...messages import DecodedMedia, Message, decoded_media
from ...protocol import conversation
from ..backend import Backend
from ..caller import Caller
from ..generation_request import GenerationRequest
from ..http.body import Fields
from ..http.sse import cancel_on_disconnect
from ..interfaces.common_fields import Messages
from ..service import Service

if TYPE_CHECKING:
    from PIL import Image

STRIP = 12
"""Frames that are shown of a video, at most."""
EDGE = 160  # pixels of a preview's longer edge
SHARP = 70  # quality of its JPEG


class ReportRequest(Fields):
    """What the model would be given of a conversation; files of the server's machine are not read."""

    model: str | None = None
    messages: Messages


async def report(http_request: Request, service: Service) -> Response:
    """The tokens of the prompt, and for each medium its tokens, size, frames and what to know of it."""
    body = await ReportRequest.from_request(http_request, service.options)
    model = service.model(body.model)

    def to_request() -> GenerationRequest:
        return GenerationRequest(conversation(body.messages, model.media_options))

    def look(backend: Backend, request: GenerationRequest, messages: tuple[Message, ...]) -> dict[str, Any]:
        found = backend.report(messages, request.sampling)
        media = zip(decoded_media(messages), found.media, strict=True)
        return {
            "prompt_tokens": found.prompt_tokens,
            "max_model_len": backend.info.context_length,
            "media": [seen(medium) | {"summary": one.summary, "tokens": one.tokens} for medium, one in media],
        }

    # a page must not have the server read its files
    caller = Caller(media_roots=(), uploaded=service.uploaded(http_request))
    return JSONResponse(await cancel_on_disconnect(http_request, lambda: service.look(to_request, caller, model, look)))


def seen(medium: DecodedMedia) -> dict[str, Any]:
    """One medium as the model is given it; ``place`` is where the request named it."""
    about: dict[str, Any] = {
        "kind": medium.kind,
        "place": medium.place,
        "source": label(medium.source),
        "page": page_of(medium),
        "notes": notes_on(medium),
    }
    match medium.data:
        case DecodedImage(image, width, height, format):
            size = {"width": width, "height": height, "given_width": image.width, "given_height": image.height}
            return about | size | {"format": format, "frames": [{"time": 0.0, "image": preview(image)}]}
        case DecodedAudio() as audio:
            return about | {"seconds": round(audio.seconds, 3), "rate": audio.rate}
        case DecodedVideo() as video:
            return about | {
                "width": video.width,
                "height": video.height,
                "seconds": round(video.seconds, 3),
                "given_frames": len(video.frames),
                "frames": strip(video),
            }


def page_of(medium: DecodedMedia) -> int | None:
    """The page of a document that a medium is."""
    pages = medium.options.pages
    return int(pages) if medium.kind == "image" and pages and pages.isdecimal() else None


def strip(video: DecodedVideo) -> list[dict[str, Any]]:
    """Frames that the model is given, evenly chosen where there are many, with their times in seconds."""
    from PIL import Image

    count = min(STRIP, len(video.frames))
    chosen = [round(step * (len(video.frames) - 1) / max(1, count - 1)) for step in range(count)]
    times = video.times or tuple(index / video.fps for index in video.indices)
    return [
        {"time": round(float(times[index]), 3), "image": preview(Image.fromarray(video.frames[index]))}
        for index in chosen
    ]


def preview(image: Image.Image) -> str:
    """A small JPEG as a ``data:`` address."""
    small = image.convert("RGB")
    small.thumbnail((EDGE, EDGE))
    encoded = BytesIO()
    small.save(encoded, "JPEG", quality=SHARP)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
