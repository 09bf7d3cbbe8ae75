"""Numbers for Prometheus: counted here, read at ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from .. import __version__
from ..events import Done

if TYPE_CHECKING:
    from .service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LENGTHS = (16, 64, 256, 1024, 4096, 16384, 65536)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Encoded(Collector):
    """How often a tower needed not look at a picture, sound or clip again. The engine counts."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """The counts of the engine that is there now."""
        about = "Pictures, tiles, frames and windows by whether their features were kept."
        found = CounterMetricFamily("mistralrs_encoder_items", about, labels=["cache"])
        engine = self._service.engine
        found.add_metric(["hit"], engine.encoded.hits if engine else 0)
        found.add_metric(["miss"], engine.encoded.misses if engine else 0)
        yield found


class Metrics:
    """One registry a service, so that several may live in a process."""

    def __init__(self, service: Service) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "mistralrs_requests", "HTTP requests by path and status.", ["path", "status"], registry=registry
        )
        self._answers = Counter("mistralrs_answers", "Answers by how they ended.", ["outcome"], registry=registry)
        self._prompt = Counter("mistralrs_prompt_tokens", "Tokens of prompts.", registry=registry)
        self._media = Counter("mistralrs_media_tokens", "Prompt tokens of media.", ["kind"], registry=registry)
        self._cached = Counter("mistralrs_cached_tokens", "Prompt tokens that were reused.", registry=registry)
        self._said = Counter("mistralrs_completion_tokens", "Tokens of answers.", registry=registry)
        self._first = Histogram(
            "mistralrs_first_token_seconds", "From arrival to the first token.", registry=registry, buckets=SECONDS
        )
        self._token = Histogram(
            "mistralrs_token_seconds", "Per token after the first.", registry=registry, buckets=TOKEN_SECONDS
        )
        self._decode = Histogram(
            "mistralrs_media_seconds", "Fetching and decoding a request's media.", registry=registry, buckets=SECONDS
        )
        running = Gauge("mistralrs_running_rows", "Answers being decoded.", registry=registry)
        running.set_function(lambda: service.engine.running if service.engine else 0)
        waiting = Gauge("mistralrs_waiting_requests", "Requests waiting for a row.", registry=registry)
        waiting.set_function(lambda: service.engine.waiting if service.engine else 0)
        room = Gauge("mistralrs_cache_tokens", "Tokens that all rows may have together.", registry=registry)
        room.set_function(lambda: service.engine.budget.tokens if service.engine else 0)
        in_flight = Gauge("mistralrs_inside_requests", "Answers admitted and not ended.", registry=registry)
        in_flight.set_function(lambda: service.concurrency.in_flight)
        stuck = Gauge("mistralrs_media_stuck_threads", "Threads that read a medium for too long.", registry=registry)
        stuck.set_function(lambda: service.stuck)
        media = Gauge("mistralrs_media_bytes", "Memory of media that wait to be read.", registry=registry)
        media.set_function(lambda: service.room.held)
        self._whole = Histogram(
            "mistralrs_answer_seconds", "From arrival to the end of an answer.", registry=registry, buckets=SECONDS
        )
        self._length = Histogram(
            "mistralrs_prompt_length_tokens", "Tokens of a prompt.", registry=registry, buckets=LENGTHS
        )
        build = Gauge("mistralrs_build_info", "Version and model.", ["version", "model"], registry=registry)
        build.labels(__version__, service.name).set(1)
        ProcessCollector(registry=registry)
        registry.register(Encoded(service))

    def responded(self, path: str, status: int) -> None:
        """A response has been sent."""
        self._requests.labels(path, str(status)).inc()

    def refused(self) -> None:
        """A question was wrong, or could not be taken in."""
        self._answers.labels("refused").inc()

    def failed(self) -> None:
        """The model failed while answering."""
        self._answers.labels("failed").inc()

    def left(self, count: int) -> None:
        """Answers were given up before their end."""
        self._answers.labels("left").inc(count)

    def decoded(self, seconds: float) -> None:
        """A request's media are there."""
        self._decode.observe(seconds)

    def first_token(self, seconds: float) -> None:
        """A request has its first token."""
        self._first.observe(seconds)

    def answered(self, done: Done) -> None:
        """An answer has ended."""
        usage, timing = done.usage, done.timing
        self._answers.labels(done.reason).inc()
        self._prompt.inc(usage.prompt_tokens)
        self._cached.inc(usage.cached_tokens)
        self._said.inc(usage.completion_tokens)
        self._whole.observe(timing.total)
        self._length.observe(usage.prompt_tokens)
        for kind, count in (
            ("image", usage.image_tokens),
            ("audio", usage.audio_tokens),
            ("video", usage.video_tokens),
        ):
            self._media.labels(kind).inc(count)
        if usage.completion_tokens > 1:
            self._token.observe((timing.total - timing.first_token) / (usage.completion_tokens - 1))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
