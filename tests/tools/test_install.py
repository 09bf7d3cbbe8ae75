"""What ``make`` asks pip for."""

import pytest

from tools import install


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Linux machine without a GPU that reaches the CPU wheels, and no wish of the user's."""
    monkeypatch.delenv("TORCH", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(install, "has_gpu", lambda: False)
    monkeypatch.setattr(install, "answers", lambda url: url.startswith(install.CPU_WHEELS))
    return monkeypatch


@pytest.mark.usefixtures("machine")
def test_linux_without_a_gpu_gets_cpu_wheels() -> None:
    assert install.torch_arguments() == [*install.TORCH, "--extra-index-url", install.CPU_WHEELS]


def test_a_gpu_gets_the_usual_wheels(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(install, "has_gpu", lambda: True)
    assert install.torch_arguments() == list(install.TORCH)


def test_macos_gets_the_usual_wheels(machine: pytest.MonkeyPatch) -> None:
    machine.setattr("sys.platform", "darwin")
    assert install.torch_arguments() == list(install.TORCH)


def test_wheels_out_of_reach_are_not_asked_for(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(install, "answers", lambda url: False)
    assert install.torch_arguments() == list(install.TORCH)


def test_the_user_may_name_another_build(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("TORCH", "torch==2.12.0 torchvision==0.27.0 --index-url https://example.org/wheels")
    assert install.torch_arguments() == [
        "torch==2.12.0",
        "torchvision==0.27.0",
        "--index-url",
        "https://example.org/wheels",
    ]


def test_nobody_listening_counts_as_out_of_reach() -> None:
    assert install.answers("http://127.0.0.1:9/") is False
