"""Threads that read and decode media, none of which keeps a request for longer than its time."""

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
"""How long reading or decoding one medium may take, without a download: decoders see to their own time before."""


class MediaThreads:
    """A pool of threads. What takes too long is given up; its thread counts as ``stuck`` until it comes back."""

    def __init__(self, workers: int, name: str, seconds: float = MEDIA_SECONDS) -> None:
        self.workers = workers
        self.seconds = seconds
        self.stuck = 0
        self._pool = ThreadPoolExecutor(workers, name)

    async def run(self, medium: Media, work: Callable[..., Result], *given: Any) -> Result:
        """Do something with a medium. Raises ``MediaTooLarge``, naming the medium, where it takes too long.

        A question that was given up, by its client or by the time, leaves work undone that has not begun.
        """
        context = contextvars.copy_context()
        job: Future[Result] = self._pool.submit(partial(context.run, work, *given))
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(job)), self.seconds)
        except TimeoutError as error:
            if not job.cancel() and not job.done():
                self._note(job)
            with naming_part(medium):
                raise MediaTooLarge(
                    f"Reading this medium took longer than {self.seconds:g} s.", "Send a smaller or shorter one."
                ) from error
        except asyncio.CancelledError:
            job.cancel()
            raise

    def _note(self, job: Future[Any]) -> None:
        self.stuck += 1
        loop = asyncio.get_running_loop()

        def back(_: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._came_back)

        job.add_done_callback(back)

    def _came_back(self) -> None:
        self.stuck -= 1

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
