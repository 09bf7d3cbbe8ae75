"""One demo model for all tests here."""

from collections.abc import Iterator
from typing import Any

import pytest

from mistralrs_cli.engine import Engine
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.start import Models


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The demo model in float32."""
    options = ModelOptions(dtype="f32", cpu=True)
    with Engine(load(open_checkpoint(options), options)) as engine:
        yield engine


class Started(Models):
    """Models with one that is running already, and stays so."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(self, checkpoint: Any, options: ModelOptions, **given: Any) -> Any:
        return self

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *error: object) -> None:
        """It goes on."""

    @property
    def info(self) -> Any:
        """What is known of the model."""
        return self.engine.info


@pytest.fixture
def models(engine: Engine) -> Started:
    """For ``main``: the demo model, loaded once."""
    return Started(engine)
