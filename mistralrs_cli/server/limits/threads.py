"""Threads that fetch and decode media, none of which holds a request up for longer than its time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ...errors import MediaTooLarge
from ...media.reading import naming_part
from ...messages import Media
from ...options import SERVER_DECODE_SECONDS

Result = TypeVar("Result")
MEDIA_SECONDS = SERVER_DECODE_SECONDS + 30.0
"""How long reading or decoding one medium may take, downloads aside: decoders enforce their own limit before."""


class MediaThreads:
    """A pool of threads. Work that takes too long fails; its thread counts as ``stuck`` until it returns."""

    def __init__(self, workers: int, name: str, seconds: float = MEDIA_SECONDS) -> None:
        self.workers = workers
        self.seconds = seconds
        self.stuck = 0
        self._pool = ThreadPoolExecutor(workers, name)

    async def run(self, medium: Media, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of ``work(*arguments)``. Raises ``MediaTooLarge``, naming the medium, where it takes too long.

        When the caller is cancelled, or after that time, work that has not begun is not done.
        """
        context = contextvars.copy_context()
        job: Future[Result] = self._pool.submit(partial(context.run, work, *arguments))
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.shield(asyncio.wrap_future(job))
        except TimeoutError as error:
            if not job.cancel() and not job.done():
                self._count_stuck(job)
            with naming_part(medium):
                raise MediaTooLarge(
                    f"Reading this medium took longer than {self.seconds:g} s.", "Send a smaller or shorter one."
                ) from error
        except asyncio.CancelledError:
            job.cancel()
            raise

    def _count_stuck(self, job: Future[Any]) -> None:
        self.stuck += 1
        loop = asyncio.get_running_loop()

        def returned() -> None:
            self.stuck -= 1

        job.add_done_callback(lambda _: loop.call_soon_threadsafe(returned))

    def close(self) -> None:
        """End the threads that are idle, now or later."""
        self._pool.shutdown(wait=False, cancel_futures=True)
