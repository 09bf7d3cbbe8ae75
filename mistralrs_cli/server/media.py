"""A request's media: how many it may have, and their way from a source to what the model reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from ..decoded import DecodedAudio, DecodedImage, DecodedVideo
from ..errors import MediaTooLarge, OptionError
from ..families import require
from ..media import decode, decoded_size, fetch, in_parts
from ..media.reading import naming_part
from ..messages import MODALITIES, DecodedMedia, Media, MediaBytes, MediaRef, Message, Part, TextFile, media_of
from ..options import SERVER_DECODE_SECONDS, SERVER_DECODED, SERVER_PIXELS, SERVER_SECONDS, MediaPolicy, ServerOptions
from ..sizes import readable
from .caller import Caller
from .limits.memory import MemoryBudget, Reservation
from .limits.threads import MediaThreads
from .uploads import SCHEME, Uploaded

if TYPE_CHECKING:
    from ..engine import ModelInfo

DOWNLOADS = 32  # at a time; each waits for the network, not for a processor


class MediaLoader:
    """Fetches and decodes the media of requests, each once there is memory for it.

    Decoded media share the budget of their reservation, and those that are fetched but not decoded ``fetched`` bytes.
    """

    def __init__(self, options: ServerOptions, workers: int, fetched: MemoryBudget) -> None:
        self.options = options
        self.threads = MediaThreads(workers, "media")
        self._fetched = fetched
        self._downloads = ThreadPoolExecutor(DOWNLOADS, "download")

    async def load(
        self,
        messages: tuple[Message, ...],
        caller: Caller,
        info: ModelInfo,
        reservation: Reservation,
        observe: Callable[[float], None],
    ) -> tuple[Message, ...]:
        """The messages with their media decoded; ``reservation`` then holds as many bytes as they take.

        ``observe`` gets the seconds it took. Raises ``OptionError`` for too many media, ``UnsupportedModality`` and
        other ``MediaError``, naming the part, and ``Overloaded`` where no memory becomes free in time.
        """
        policy = caller.policy or media_policy(self.options, caller.media_roots)
        if caller.policy is None:
            check_counts(messages, self.options)
        check_kinds(messages, info)
        begun = time.perf_counter()
        media: list[DecodedMedia] = []
        parts: list[tuple[Part, ...]] = []
        fetched = Reservation(self._fetched)
        try:
            for medium in media_of(messages):
                found = await self._fetch(medium, policy, caller)
                await fetched.take(len(found.data) if isinstance(found, MediaBytes) else 0)
                pages: Sequence[MediaBytes | DecodedMedia | TextFile] = (found,)
                if caller.policy is None:  # else the caller has taken documents apart
                    pages = await self.threads.run(medium, pages_of, found, policy)
                    check_pages([*media, *pages], medium, self.options)
                begin = len(media)
                for page in pages:
                    if isinstance(page, TextFile):
                        continue
                    size = await self.threads.run(page, size_of, page, policy, info, reservation.budget.free)
                    await reservation.take(size)
                    media.append(await self.threads.run(page, decode_medium, page, policy, info))
                    reservation.resize(sum(map(decoded_bytes, media)))
                    if caller.policy is None:
                        check_decoded(media, SERVER_DECODED)
                decoded = iter(media[begin:])
                parts.append(tuple(page if isinstance(page, TextFile) else next(decoded) for page in pages))
                fetched.release()
                caller.decoded(len(parts))
        finally:
            fetched.release()
        if media:
            observe(time.perf_counter() - begun)
        return with_parts(messages, parts)

    async def _fetch(self, medium: Media, policy: MediaPolicy, caller: Caller) -> MediaBytes | DecodedMedia:
        if isinstance(medium, MediaRef) and medium.source.startswith(SCHEME):
            return await self.threads.run(medium, fetch_upload, medium, caller.uploaded, policy)
        if is_remote(medium):
            return await asyncio.get_running_loop().run_in_executor(self._downloads, fetch_medium, medium, policy)
        return await self.threads.run(medium, fetch_medium, medium, policy)

    def close(self) -> None:
        """End the threads."""
        self._downloads.shutdown(wait=False, cancel_futures=True)
        self.threads.close()


def media_policy(options: ServerOptions, roots: tuple[str, ...] | None) -> MediaPolicy:
    """Where media may come from: local files below ``roots``, and of the network the public part alone."""
    return MediaPolicy(
        local_roots=roots,
        private_addresses=False,
        domains=options.media_domains,
        max_bytes=options.body,
        pixels=SERVER_PIXELS,
        seconds=SERVER_SECONDS,
        decode_seconds=SERVER_DECODE_SECONDS,
        pipes=False,
    )


def check_counts(messages: tuple[Message, ...], options: ServerOptions) -> None:
    """Raise ``OptionError`` for more images, audios or videos than the server takes, before any is fetched."""
    limits = dict(zip(MODALITIES, (options.images, options.audios, options.videos), strict=True))
    kinds = [medium.kind for medium in media_of(messages)]
    for kind, limit in limits.items():
        if (count := kinds.count(kind)) > limit:
            raise OptionError(
                f"The request has {count} {kind} parts, but this server takes {limit}.",
                f"--limit-{kind}s allows more.",
                param="messages",
            )


def check_pages(parts: Sequence[Part], medium: Media, options: ServerOptions) -> None:
    """Raise ``OptionError`` where the pages of documents make more images than the server takes."""
    count = sum(isinstance(part, Media) and part.kind == "image" for part in parts)
    if count > options.images:
        with naming_part(medium):
            raise OptionError(
                f"With the pages of documents the request has {count} images, but this server takes {options.images}.",
                "Name fewer pages, as in #page=1-20; --limit-images allows more.",
            )


def check_kinds(messages: tuple[Message, ...], info: ModelInfo) -> None:
    """Raise ``UnsupportedModality``, naming the part, for a medium that the model does not read."""
    for medium in media_of(messages):
        with naming_part(medium):
            require(info, info.name, [medium.kind])


def is_remote(medium: Media) -> bool:
    """Whether a medium comes over the network."""
    return isinstance(medium, MediaRef) and medium.source[:8].lower().startswith(("http://", "https://"))


def fetch_medium(medium: Media, policy: MediaPolicy) -> MediaBytes | DecodedMedia:
    """The medium with its bytes, unless it is decoded; an error names the part."""
    if isinstance(medium, DecodedMedia):
        return medium
    with naming_part(medium):
        return fetch(medium, policy)


def fetch_upload(medium: MediaRef, uploaded: Uploaded, policy: MediaPolicy) -> MediaBytes:
    """The medium with the bytes that were sent before; an error names the part."""
    with naming_part(medium):
        return fetch(medium.as_bytes(uploaded(medium.source)), policy)


def pages_of(
    medium: MediaBytes | DecodedMedia, policy: MediaPolicy
) -> tuple[MediaBytes | DecodedMedia | TextFile, ...]:
    """The pages of a document, a video and its audio track, any other medium as it is; an error names the part."""
    if isinstance(medium, DecodedMedia):
        return (medium,)
    with naming_part(medium):
        return in_parts(medium, policy)


def decode_medium(medium: MediaBytes | DecodedMedia, policy: MediaPolicy, info: ModelInfo) -> DecodedMedia:
    """The medium as the model reads it; an error names the part."""
    with naming_part(medium):
        return decode(medium, policy, rate=info.audio_rate, sampling=info.video_sampling)


def size_of(medium: MediaBytes | DecodedMedia, policy: MediaPolicy, info: ModelInfo, free: int) -> int:
    """Bytes that a fetched medium will take once decoded; no closer than it matters where ``free`` are left."""
    return decoded_size(medium, policy, rate=info.audio_rate, sampling=info.video_sampling, enough=free)


def decoded_bytes(medium: DecodedMedia) -> int:
    """Bytes of a decoded medium."""
    match medium.data:
        case DecodedImage(image):
            return image.width * image.height * len(image.getbands())
        case DecodedAudio(samples):
            return samples.nbytes
        case DecodedVideo(frames):
            return frames.nbytes


def check_decoded(media: Sequence[DecodedMedia], limit: int) -> None:
    """Raise ``MediaTooLarge``, naming the last part, for media that take more bytes together once decoded."""
    if sum(map(decoded_bytes, media)) > limit:
        with naming_part(media[-1]):
            raise MediaTooLarge(
                f"The media up to this one take more than {readable(limit)} once they are decoded.",
                "Send fewer or smaller ones, or several requests.",
            )


def with_parts(messages: tuple[Message, ...], parts: Sequence[tuple[Part, ...]]) -> tuple[Message, ...]:
    """The messages with ``parts`` in place of their media, in order: of a document, what its pages became."""
    rest = iter(parts)
    return tuple(
        replace(
            message,
            parts=tuple(new for part in message.parts for new in (next(rest) if isinstance(part, Media) else (part,))),
        )
        for message in messages
    )
