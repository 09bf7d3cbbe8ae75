"""Requests made up from the server's own schema, right ones and wrong ones: none of them breaks it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import APIOperation, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from mistralrs_cli.engine import Engine
from mistralrs_cli.options import ServerOptions

from .conftest import Running, serving

Operation = APIOperation[Any, Any, Any, Any]
FEW = settings(
    max_examples=3,
    phases=[Phase.generate],  # an example that fails is shown as it is: making it smaller would take too long
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def brief(engine: Engine) -> Iterator[Running]:
    """A server whose answers end soon, whatever is asked for, and which fetches nothing."""
    loaded = replace(engine.loaded, context_length=96, sampling=engine.loaded.sampling | {"max_new_tokens": 3})
    options = ServerOptions(port=0, media_domains=("nowhere.invalid",))
    with Engine(loaded) as short, serving(short, options) as running:
        yield running


@pytest.fixture(scope="module")
def schema(brief: Running) -> BaseSchema:
    """What the server says of itself."""
    found: BaseSchema = schemathesis.openapi.from_url(f"{brief.url}/openapi.json")
    return found


def operations(schema: BaseSchema) -> list[Operation]:
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def test_right_requests_are_answered(schema: BaseSchema) -> None:
    statuses = {one.label: asked(one, GenerationMode.POSITIVE) for one in operations(schema)}
    assert {"POST /v1/chat/completions", "POST /v1/messages", "GET /metrics"} <= statuses.keys()
    assert sum(200 in seen for path, seen in statuses.items() if path.startswith("POST")) > 2, statuses


def test_wrong_requests_are_refused(schema: BaseSchema) -> None:
    """They need not be: not all that the schema leaves out is wrong."""
    with_body = [one for one in operations(schema) if list(one.body)]
    statuses = {operation.label: asked(operation, GenerationMode.NEGATIVE) for operation in with_body}
    assert len(statuses) > 6
    off = {"POST /v1/files", "POST /v1/batches"}  # this server has no folder for batch jobs: 404
    assert {path: seen for path, seen in statuses.items() if (404 if path in off else 400) not in seen} == {}


def asked(operation: Operation, mode: GenerationMode) -> set[int]:
    """The statuses of a few requests to one path."""
    seen: set[int] = set()

    @seed(20)
    @FEW
    @given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        response = case.call(timeout=60)
        assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"
        seen.add(response.status_code)

    ask()
    return seen
