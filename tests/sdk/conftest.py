"""One demo model behind a runner, and a server over the same engine."""

from collections.abc import Iterator

import pytest

from mistralrs import ModelDType, Runner, Which
from mistralrs_cli.options import ServerOptions
from tests.server.conftest import Running, serving


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    which = Which.MultimodalPlain(model_id="demo", dtype=ModelDType.F32)
    with Runner(which=which, cpu=True) as runner:
        yield runner


@pytest.fixture(scope="module")
def server(runner: Runner) -> Iterator[Running]:
    """The same model over HTTP: of one file's tests, since others unload the runner's model."""
    with serving(runner._engine, ServerOptions(port=0)) as running:
        yield running
