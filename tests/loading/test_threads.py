"""How many threads a CPU is given."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mistralrs_cli.errors import OptionError
from mistralrs_cli.loading import devices
from mistralrs_cli.options import ModelOptions


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads before each test; afterwards as many as there were."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("limit", "expected"), [("150000 100000\n", 2), ("50000 100000\n", 1), ("800000 100000\n", 4), ("max 100000\n", 4)]
)
def test_a_container_gets_no_more_threads_than_it_has_cores(
    limit: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    devices.limit_threads(ModelOptions())
    assert torch.get_num_threads() == expected


def test_no_control_group_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "CGROUP", tmp_path / "none")
    devices.limit_threads(ModelOptions())
    assert torch.get_num_threads() == 4


def test_what_the_user_says_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    devices.limit_threads(ModelOptions(threads=3))
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    torch.set_num_threads(4)
    devices.limit_threads(ModelOptions())
    assert torch.get_num_threads() == 4


def test_no_threads_at_all_are_refused() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        devices.limit_threads(ModelOptions(threads=0))
