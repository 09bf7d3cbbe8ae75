"""What every test runs under: one thread, no network hub, and a home of its own."""

import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest

# Set before torch and huggingface_hub are first imported, here and in the processes tests start.
_home = tempfile.TemporaryDirectory(prefix="mistralrs-tests-", ignore_cleanup_errors=True)
os.environ.update(
    HOME=_home.name,
    XDG_CACHE_HOME=f"{_home.name}/cache",
    XDG_CONFIG_HOME=f"{_home.name}/config",
    XDG_DATA_HOME=f"{_home.name}/data",
    XDG_STATE_HOME=f"{_home.name}/state",
    MISTRALRS_RUNTIME_DIR=f"{_home.name}/run",
    HF_HOME=f"{_home.name}/hub",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    MISTRALRS_KERNELS="packed",  # what is faster on a busy machine differs from run to run
)
for name in ("HF_TOKEN", "HF_ENDPOINT", "MISTRALRS_DEBUG", "NO_COLOR", "FORCE_COLOR"):
    os.environ.pop(name, None)

pytest_plugins = ["tests.checkpoints.fixtures"]

ROOT = Path(__file__).resolve().parent.parent


MODELS = {"engine", "runner", "written"}  # fixtures that load a model, or build a checkpoint


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a model is slow. Files with slow tests come first, so that all workers end together."""
    for item in items:
        if isinstance(item, pytest.Function) and MODELS & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What the imports made stays until the end: the garbage collector need not look at it again and again."""
    leave_imports_alone()


_modules_frozen = 0


def leave_imports_alone() -> None:
    """Keep what was imported so far out of the garbage collector's sight."""
    global _modules_frozen
    if len(sys.modules) > _modules_frozen + 200:
        gc.collect()
        gc.freeze()
        _modules_frozen = len(sys.modules)


def pytest_runtest_logfinish() -> None:
    """PyTorch and transformers are first imported by a test, not when tests are collected."""
    leave_imports_alone()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample media, ``examples/media``."""
    return ROOT / "examples" / "media"
