"""The tables of one-shot tests once more, answered by an engine in another process's place: all is as without one."""

from collections.abc import Iterator

import pytest

from mistralrs_cli.attach.record import EngineRecord
from mistralrs_cli.cli.app import main
from mistralrs_cli.events import Done, Timing, Usage
from mistralrs_cli.server.service import Service
from tests.attach.serving import ServedModels, played, serving
from tests.cli import test_draw, test_errors, test_media, test_run
from tests.fake_model import FakeFamily, FakeModels

Captured = pytest.CaptureFixture[str]

HERE = {
    "test_every_error_has_its_code_and_two_lines": "raises while a checkpoint is opened",
    "test_debug_adds_the_traceback": "raises while a checkpoint is opened",
    "test_ctrl_c_is_130_and_silent": "raises Ctrl-C in the engine's thread",
    "test_what_libraries_print_goes_to_stderr_with_v": "prints while a model is loaded",
    "test_bad_usage_is_2_and_says_what_to_type": "ends before an engine is looked for",
    "test_a_text_model_is_no_multimodal_one": "changes what the record says",
}
"""Tests of what an attached command does not do."""

for module in (test_run, test_errors, test_media, test_draw):
    for name, value in vars(module).items():
        takes = getattr(value, "__code__", None)
        if name.startswith("test_") and name not in HERE and takes and "models" in takes.co_varnames:
            globals()[name] = value


server, here = test_media.server, test_draw.here
FAMILY = FakeFamily()


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[Service, EngineRecord]]:
    """One engine for all."""
    with serving(family=FAMILY) as (service, _, record):
        yield service, record


@pytest.fixture
def models(engine: tuple[Service, EngineRecord]) -> FakeModels:
    """As in the other tables, but served."""
    service, record = engine
    done = Done("stop", Usage(prompt_tokens=40, completion_tokens=21, image_tokens=10), Timing(0.5, 1.5, 0.4))
    found = ServedModels(["It is ", "red."], record=record, family=FAMILY, done=done)
    FAMILY.modalities = FakeFamily.modalities
    service.backend = played(found, record.model)
    return found


def test_nothing_is_opened_or_loaded(models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "-i", "What?"], models) == 0
    assert capsys.readouterr() == ("It is red.\n", "")
    assert models.calls == []


def test_no_attach_loads_here(models: FakeModels, capsys: Captured) -> None:
    assert main(["run", "-m", "M", "--no-attach", "-i", "What?"], models) == 0
    assert capsys.readouterr() == ("It is red.\n", "")
    assert models.calls == ["open", "load", "close"]
