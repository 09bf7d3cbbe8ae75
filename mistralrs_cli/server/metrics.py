"""Metrics for Prometheus: counted here, read at ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from ..messages import MODALITIES

if TYPE_CHECKING:
    from ..engine import EngineStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LENGTHS = (16, 64, 256, 1024, 4096, 16384, 65536)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

Stats = Callable[[], "EngineStats | None"]


class EncoderItems(Collector):
    """How many media items an encoder had to process, and how many its cache served. The engine counts."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """The counts of the engine that is there now."""
        about = "Images, tiles, frames and audio windows by whether the encoder cache had them."
        found = CounterMetricFamily("mistralrs_encoder_items", about, labels=["cache"])
        stats = self._stats()
        found.add_metric(["hit"], stats.encoder_hits if stats else 0)
        found.add_metric(["miss"], stats.encoder_misses if stats else 0)
        yield found


class Metrics:
    """One registry a service, so that several may live in a process.

    ``stats`` is what the engine does now, ``None`` while there is none; the other functions are gauges of the server.
    """

    def __init__(
        self,
        model: str,
        *,
        stats: Stats,
        in_flight: Callable[[], int],
        media_bytes: Callable[[], int],
        stuck_threads: Callable[[], int],
    ) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"mistralrs_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"mistralrs_{name}", about, registry=registry, buckets=buckets)

        def gauge(name: str, about: str, value: Callable[[], int]) -> None:
            Gauge(f"mistralrs_{name}", about, registry=registry).set_function(value)

        def of_engine(name: str, about: str, value: Callable[[EngineStats], int]) -> None:
            gauge(name, about, lambda: value(now) if (now := stats()) else 0)

        self._requests = counter("requests", "Count of HTTP requests by path and status.", "path", "status")
        self._answers = counter("answers", "Count of answers by how they ended.", "outcome")
        self._prompt_tokens = counter("prompt_tokens", "Number of prefill tokens processed.")
        self._media_tokens = counter("media_tokens", "Number of prompt tokens of media, by kind.", "kind")
        self._cached_tokens = counter("cached_tokens", "Number of prompt tokens that the prefix cache served.")
        self._completion_tokens = counter("completion_tokens", "Number of generation tokens processed.")
        self._first_token = histogram("first_token_seconds", "Histogram of time to first token in seconds.")
        self._token = histogram("token_seconds", "Histogram of time per output token in seconds.", TOKEN_SECONDS)
        self._media = histogram("media_seconds", "Histogram of fetching and decoding a request's media in seconds.")
        self._answer = histogram("answer_seconds", "Histogram of end to end request latency in seconds.")
        self._prompt_length = histogram("prompt_length_tokens", "Number of prefill tokens per request.", LENGTHS)
        of_engine("running_sequences", "Number of sequences in the running batch.", lambda now: now.running)
        of_engine("waiting_requests", "Number of requests waiting to be processed.", lambda now: now.waiting)
        of_engine(
            "kv_cache_capacity_tokens",
            "Number of tokens that the KV caches of all sequences may hold together.",
            lambda now: now.kv_capacity_tokens,
        )
        gauge("requests_in_flight", "Number of answers admitted and not ended.", in_flight)
        gauge("media_stuck_threads", "Number of threads that read a medium for too long.", stuck_threads)
        gauge("media_bytes", "Memory of decoded media that wait for the model, in bytes.", media_bytes)
        build = Gauge("mistralrs_build_info", "Version and model.", ["version", "model"], registry=registry)
        build.labels(__version__, model).set(1)
        ProcessCollector(registry=registry)
        registry.register(EncoderItems(stats))

    def responded(self, path: str, status: int) -> None:
        """A response has been sent."""
        self._requests.labels(path, str(status)).inc()

    def refused(self) -> None:
        """A request was wrong, or could not be admitted."""
        self._answers.labels("refused").inc()

    def failed(self) -> None:
        """The model failed while answering."""
        self._answers.labels("failed").inc()

    def disconnected(self, count: int) -> None:
        """``count`` answers were cancelled because their client left."""
        self._answers.labels("disconnected").inc(count)

    def media_loaded(self, seconds: float) -> None:
        """A request's media are fetched and decoded."""
        self._media.observe(seconds)

    def first_token(self, seconds: float) -> None:
        """A request has its first token."""
        self._first_token.observe(seconds)

    def answered(self, done: Done) -> None:
        """An answer has ended."""
        usage, timing = done.usage, done.timing
        self._answers.labels(done.reason).inc()
        self._prompt_tokens.inc(usage.prompt_tokens)
        self._cached_tokens.inc(usage.cached_tokens)
        self._completion_tokens.inc(usage.completion_tokens)
        self._answer.observe(timing.total)
        self._prompt_length.observe(usage.prompt_tokens)
        for kind, count in zip(MODALITIES, (usage.image_tokens, usage.audio_tokens, usage.video_tokens), strict=True):
            self._media_tokens.labels(kind).inc(count)
        if usage.completion_tokens > 1:
            self._token.observe((timing.total - timing.first_token) / (usage.completion_tokens - 1))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
