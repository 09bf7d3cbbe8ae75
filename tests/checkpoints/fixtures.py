"""Tiny random checkpoints, built once a session and loaded through the public path."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders import build


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadedModel]:
    """``tiny("gemma4")`` is that family's random model in float32."""

    @cache
    def loaded(name: str) -> LoadedModel:
        folder: Path = build(name, tmp_path_factory.mktemp(name))
        options = ModelOptions(model_id=str(folder), dtype="f32", cpu=True)
        return load(open_checkpoint(options), options)

    return loaded
