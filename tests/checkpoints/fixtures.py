"""Tiny random checkpoints, built once a session and loaded through the public path."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mistralrs_cli.loading import LoadedModel, load, open_checkpoint
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders import build
from tests.checkpoints.older import older_layout

Written = Callable[[str], Path]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """``written("gemma4")`` is the folder of that family's random checkpoint."""
    return cache(lambda name: build(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def tiny(written: Written) -> Callable[[str], LoadedModel]:
    """``tiny("gemma4")`` is that family's random model in float32."""
    return cache(lambda name: opened(written(name)))


@pytest.fixture
def older(written: Written, tmp_path: Path) -> Callable[[str], LoadedModel]:
    """``older("gemma4")`` is the same model, read from the files that older repositories have."""
    return lambda name: opened(older_layout(name, written(name), tmp_path))


def opened(folder: Path) -> LoadedModel:
    """The checkpoint in a folder, by the path that every face takes."""
    options = ModelOptions(model_id=str(folder), dtype="f32", cpu=True)
    return load(open_checkpoint(options), options)
