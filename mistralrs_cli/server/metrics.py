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
NAMED_KEYS = 200
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

Stats = Callable[[], "EngineStats | None"]


class EncoderItems(Collector):
    """How many media items the encoders of each model had to process, and how many their cache served.

    The engines count, each from 0 when its model is loaded.
    """

    def __init__(self) -> None:
        self.models: dict[str, Stats] = {}

    def collect(self) -> Iterator[Metric]:
        """The counts of the engines that are there now."""
        about = "Images, tiles, frames and audio windows by whether the encoder cache had them."
        found = CounterMetricFamily("mistralrs_encoder_items", about, labels=["model", "cache"])
        for model, now in self.models.items():
            stats = now()
            found.add_metric([model, "hit"], stats.encoder_hits if stats else 0)
            found.add_metric([model, "miss"], stats.encoder_misses if stats else 0)
        yield found


class Metrics:
    """One registry a service, so that several may live in a process. What is counted of a model has its name as label.

    The functions are gauges of the server.
    """

    def __init__(self, *, media_bytes: Callable[[], int], stuck_threads: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"mistralrs_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"mistralrs_{name}", about, ("model",), registry=registry, buckets=buckets)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"mistralrs_{name}", about, labels, registry=registry)

        self._requests = counter("requests", "Count of HTTP requests by path and status.", "path", "status")
        self._batch_lines = counter("batch_lines", "Count of lines of batch jobs by how they ended.", "outcome")
        self._key_requests = counter("key_requests", "Count of requests by the name of their key.", "key")
        self._key_tokens = counter("key_tokens", "Number of prompt and generation tokens by the name of a key.", "key")
        self._named_keys: set[str] = set()
        self.answers = counter("answers", "Count of answers by how they ended.", "model", "outcome")
        self.prompt_tokens = counter("prompt_tokens", "Number of prefill tokens processed.", "model")
        self.media_tokens = counter("media_tokens", "Number of prompt tokens of media, by kind.", "model", "kind")
        self.cached_tokens = counter("cached_tokens", "Number of prompt tokens that the prefix cache served.", "model")
        self.completion_tokens = counter("completion_tokens", "Number of generation tokens processed.", "model")
        self.first_token = histogram("first_token_seconds", "Histogram of time to first token in seconds.")
        self.token = histogram("token_seconds", "Histogram of time per output token in seconds.", TOKEN_SECONDS)
        self.media = histogram("media_seconds", "Histogram of fetching and decoding a request's media in seconds.")
        self.answer = histogram("answer_seconds", "Histogram of end to end request latency in seconds.")
        self.queue = histogram("queue_seconds", "Histogram of time spent waiting for prefill in seconds.")
        self.prefill = histogram("prefill_seconds", "Histogram of time spent in prefill in seconds.")
        self.decode = histogram("decode_seconds", "Histogram of time spent in decode in seconds.")
        self.prompt_length = histogram("prompt_length_tokens", "Number of prefill tokens per request.", LENGTHS)
        self.answer_length = histogram("answer_length_tokens", "Number of generation tokens per request.", LENGTHS)
        self.kv_tokens = gauge("kv_cache_tokens", "Number of tokens in the KV caches of all sequences.", "model")
        self.loaded = gauge("model_loaded", "Whether a model is in memory.", "model")
        self.loads = counter("model_loads", "Count of attempts to load a model by how they ended.", "model", "outcome")
        self.running = gauge("running_sequences", "Number of sequences in the running batch.", "model")
        self.waiting = gauge("waiting_requests", "Number of requests waiting to be processed.", "model")
        self.capacity = gauge(
            "kv_cache_capacity_tokens",
            "Number of tokens that the KV caches of all sequences may hold together.",
            "model",
        )
        self.in_flight = gauge("requests_in_flight", "Number of answers admitted and not ended.", "model")
        stuck = gauge("media_stuck_threads", "Number of threads that read a medium for too long.")
        stuck.set_function(stuck_threads)
        waiting = gauge("media_bytes", "Memory of decoded media that wait for the model, in bytes.")
        waiting.set_function(media_bytes)
        self.build = gauge("build_info", "Version and model.", "version", "model")
        ProcessCollector(registry=registry)
        self.encoder_items = EncoderItems()
        registry.register(self.encoder_items)

    def of_model(self, model: str, stats: Stats, in_flight: Callable[[], int]) -> ModelMetrics:
        """What is counted of one model; ``stats`` is what its engine does now, ``None`` while there is none."""

        def of_engine(gauge: Gauge, value: Callable[[EngineStats], int]) -> None:
            gauge.labels(model).set_function(lambda: value(now) if (now := stats()) else 0)

        of_engine(self.running, lambda now: now.running)
        of_engine(self.waiting, lambda now: now.waiting)
        of_engine(self.capacity, lambda now: now.kv_capacity_tokens)
        of_engine(self.kv_tokens, lambda now: now.kv_tokens)
        of_engine(self.loaded, lambda now: 1)
        self.in_flight.labels(model).set_function(in_flight)
        self.build.labels(__version__, model).set(1)
        self.encoder_items.models[model] = stats
        return ModelMetrics(self, model)

    def responded(self, path: str, status: int) -> None:
        """A response has been sent."""
        self._requests.labels(path, str(status)).inc()

    def batch_line(self, *, failed: bool) -> None:
        """A line of a batch job has ended."""
        self._batch_lines.labels("failed" if failed else "completed").inc()

    def key_used(self, name: str, tokens: int) -> None:
        """A request with a key has ended. So many keys have a label, those beyond are one."""
        if len(self._named_keys) < NAMED_KEYS:
            self._named_keys.add(name)
        label = name if name in self._named_keys else "other"
        self._key_requests.labels(label).inc()
        self._key_tokens.labels(label).inc(tokens)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class ModelMetrics:
    """What is counted of the answers of one model."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._all = metrics
        self._model = model

    def loaded(self, outcome: str) -> None:
        """An attempt to load it has ended: ``loaded`` or ``failed``."""
        self._all.loads.labels(self._model, outcome).inc()

    def refused(self) -> None:
        """A request was wrong, or could not be admitted."""
        self._all.answers.labels(self._model, "refused").inc()

    def failed(self) -> None:
        """The model failed while answering."""
        self._all.answers.labels(self._model, "failed").inc()

    def disconnected(self, count: int) -> None:
        """``count`` answers were cancelled because their client left."""
        self._all.answers.labels(self._model, "disconnected").inc(count)

    def media_loaded(self, seconds: float) -> None:
        """A request's media are fetched and decoded."""
        self._all.media.labels(self._model).observe(seconds)

    def first_token(self, seconds: float) -> None:
        """A request has its first token."""
        self._all.first_token.labels(self._model).observe(seconds)

    def answered(self, done: Done, *, batch: bool = False) -> None:
        """An answer has ended. The times of lines of batch jobs are in no histogram: they wait for all others."""
        usage, timing, model = done.usage, done.timing, self._model
        self._all.answers.labels(model, done.reason).inc()
        self._all.prompt_tokens.labels(model).inc(usage.prompt_tokens)
        self._all.cached_tokens.labels(model).inc(usage.cached_tokens)
        self._all.completion_tokens.labels(model).inc(usage.completion_tokens)
        self._all.prompt_length.labels(model).observe(usage.prompt_tokens)
        self._all.answer_length.labels(model).observe(usage.completion_tokens)
        for kind, count in zip(MODALITIES, (usage.image_tokens, usage.audio_tokens, usage.video_tokens), strict=True):
            self._all.media_tokens.labels(model, kind).inc(count)
        if batch:
            return
        self._all.answer.labels(model).observe(timing.total)
        self._all.queue.labels(model).observe(max(0.0, timing.first_token - timing.prefill))
        self._all.prefill.labels(model).observe(timing.prefill)
        self._all.decode.labels(model).observe(timing.total - timing.first_token)
        if usage.completion_tokens > 1:
            self._all.token.labels(model).observe((timing.total - timing.first_token) / (usage.completion_tokens - 1))
