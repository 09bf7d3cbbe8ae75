"""Spans of requests, by OpenTelemetry's own SDK."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mistralrs_cli.server.http.tracing import spans, tracing

FACTS = {"event": "request", "request": "r1", "client": "127.0.0.1", "method": "POST", "path": "/v1/chat/completions"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_request_is_a_span_under_the_clients() -> None:
    """With the tokens, and without what was said."""
    exporter = InMemorySpanExporter()
    trace = spans(SimpleSpanProcessor(exporter))
    facts = FACTS | {"status": 200, "seconds": 1.5, "prompt_tokens": 7, "model": "demo", "prompt": "secret", "n": ["x"]}
    trace({"traceparent": PARENT}, "/v1/chat/completions", facts)
    trace({}, "unknown", FACTS | {"status": 503, "seconds": 0.25})
    first, second = exporter.get_finished_spans()
    assert first.name == "POST /v1/chat/completions"
    assert first.kind is SpanKind.SERVER
    assert first.context.trace_id == int("0af7651916cd43dd8448eb211c80319c", 16)
    assert first.parent is not None
    assert first.attributes is not None
    assert first.attributes["gen_ai.usage.input_tokens"] == 7
    assert first.attributes["http.response.status_code"] == 200
    assert "secret" not in str(dict(first.attributes))
    assert first.end_time is not None
    assert first.start_time is not None
    assert first.end_time - first.start_time == 1_500_000_000
    assert second.parent is None
    assert second.status.status_code is StatusCode.ERROR


def test_without_a_receiver_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert tracing() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert tracing() is None
