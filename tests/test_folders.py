"""Chats and caches lie where the platform has them, and where earlier versions left them."""

from pathlib import Path
from typing import Any

import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from mistralrs_cli.folders import cache_folder, data_folder
from mistralrs_cli.loading.devices import offload_root
from mistralrs_cli.loading.quantization.writer import copies_folder

NAMES = ("MISTRALRS_DATA_DIR", "MISTRALRS_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no variables that name folders."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def platform(name: str, folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", name)
    monkeypatch.setattr(platformdirs, "PlatformDirs", folders)


@pytest.mark.parametrize(
    ("name", "folders", "environment", "data", "cache"),
    [
        ("linux", Unix, {}, "~/.local/share/mistralrs", "~/.cache/mistralrs"),
        ("linux", Unix, {"XDG_DATA_HOME": "/x", "XDG_CACHE_HOME": "/y"}, "/x/mistralrs", "/y/mistralrs"),
        ("linux", Unix, {"MISTRALRS_DATA_DIR": "/d", "XDG_DATA_HOME": "/x"}, "/d", "~/.cache/mistralrs"),
        ("linux", Unix, {"MISTRALRS_CACHE": "/c", "XDG_CACHE_HOME": "/y"}, "~/.local/share/mistralrs", "/c"),
        ("darwin", MacOS, {}, "~/Library/Application Support/mistralrs", "~/Library/Caches/mistralrs"),
        ("darwin", MacOS, {"XDG_CACHE_HOME": "/y"}, "~/Library/Application Support/mistralrs", "/y/mistralrs"),
    ],
)
def test_where_chats_and_caches_are(
    name: str,
    folders: Any,
    environment: dict[str, str],
    data: str,
    cache: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform(name, folders, monkeypatch)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert data_folder() == Path(data).expanduser()
    assert cache_folder() == Path(cache).expanduser()
    assert copies_folder() == Path(cache).expanduser() / "quantized"


def test_what_an_earlier_version_left_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform("darwin", MacOS, monkeypatch)
    (home / ".cache" / "mistralrs").mkdir(parents=True)
    assert cache_folder() == home / ".cache" / "mistralrs"
    assert offload_root() == home / ".cache" / "mistralrs" / "offload"
    (home / "Library" / "Application Support" / "mistralrs").mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "elsewhere"))
    assert data_folder() == home / "Library" / "Application Support" / "mistralrs"
