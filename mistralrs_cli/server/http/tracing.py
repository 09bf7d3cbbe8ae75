"""Traces of requests by OpenTelemetry: a span for each, where the environment names a receiver."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import OptionError

RECEIVERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
NAMES = {
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "client": "client.address",
    "model": "gen_ai.request.model",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "finish": "gen_ai.response.finish_reasons",
    "error": "error.type",
    "request": "mistralrs.request_id",
    "key": "mistralrs.key",
    "first_token": "mistralrs.first_token_seconds",
    "cached_tokens": "mistralrs.cached_tokens",
}
"""Attributes of a span by the fields of the log: OpenTelemetry's semantic conventions where there is a name."""

Trace = Callable[[Mapping[str, str], str, Mapping[str, object]], None]
"""Takes a request's headers, its route and the fields of its log line, when it has ended."""


def tracing() -> Trace | None:
    """Sends spans to the receiver that ``OTEL_EXPORTER_OTLP_ENDPOINT`` names; ``None`` without one.

    All other variables of OpenTelemetry's SDK count as well. Raises ``OptionError`` where it is not installed.
    """
    named = next((name for name in RECEIVERS if os.environ.get(name)), None)
    if named is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        hint = 'pip install "mistralrs[otel]", or unset it.'
        raise OptionError(f"{named} is set, and OpenTelemetry's SDK is not installed.", hint) from error
    return spans(BatchSpanProcessor(OTLPSpanExporter()))


def spans(processor: Any) -> Trace:
    """Gives a span for each request to a span processor, as a child of the client's where it names one."""
    from opentelemetry.propagate import extract
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanKind, Status, StatusCode

    name = os.environ.get("OTEL_SERVICE_NAME") or "mistralrs"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("mistralrs")

    def trace(headers: Mapping[str, str], route: str, facts: Mapping[str, object]) -> None:
        ended = time.time_ns()
        seconds, status = facts["seconds"], facts["status"]
        assert isinstance(seconds, float)
        assert isinstance(status, int)
        span = tracer.start_span(
            f"{facts['method']} {route}",
            context=extract(dict(headers)),
            kind=SpanKind.SERVER,
            start_time=ended - round(seconds * 1e9),
            attributes={
                NAMES[field]: value
                for field, value in facts.items()
                if field in NAMES and isinstance(value, str | int | float)
            },
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    return trace
