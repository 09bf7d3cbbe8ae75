"""Whether a model wants the memory of others, and giving memory back."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from mistralrs_cli.options import ModelOptions
from mistralrs_cli.registry.memory import give_back, is_crowded


@pytest.mark.parametrize(
    ("shortage", "offloaded", "options", "crowded"),
    [
        (0, False, ModelOptions(), False),
        (1, False, ModelOptions(), True),
        (0, True, ModelOptions(), True),
        (0, True, ModelOptions(device_layers="0:4"), False),
        (0, True, ModelOptions(topology="t.yaml"), False),
        (1, True, ModelOptions(device_layers="0:4"), True),
    ],
)
def test_a_model_that_does_not_fit_as_it_should_wants_room(
    shortage: int, offloaded: bool, options: ModelOptions, crowded: bool
) -> None:
    plan = SimpleNamespace(shortage=shortage, placement=SimpleNamespace(offloaded=offloaded))
    models: Any = SimpleNamespace(plan=lambda checkpoint, options: plan)
    assert is_crowded(models, SimpleNamespace(), options) is crowded  # type: ignore[arg-type]


def test_weights_that_are_still_on_the_hub_want_none() -> None:
    models: Any = SimpleNamespace(plan=lambda checkpoint, options: None)
    assert not is_crowded(models, SimpleNamespace(), ModelOptions())  # type: ignore[arg-type]


def test_what_refers_to_itself_is_collected() -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    try:
        kept = weakref.ref(Node())
        assert kept() is not None
        give_back(kept)
        assert kept() is None
    finally:
        gc.enable()
