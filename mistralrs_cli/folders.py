"""The user's folders for data, configuration, caches, logs and sockets, by the rules of the platform.

A folder that earlier versions made elsewhere goes on being used.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

NAME = "mistralrs"


def data_folder() -> Path:
    """Where chats are kept: ``$MISTRALRS_DATA_DIR``, else the platform's folder for application data."""
    if named := os.environ.get("MISTRALRS_DATA_DIR"):
        return Path(named).expanduser()
    from platformdirs import PlatformDirs

    found = PlatformDirs(NAME, appauthor=False).user_data_path
    match sys.platform:
        case "win32":
            earlier = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME
        case "darwin":
            earlier = Path.home() / "Library" / "Application Support" / NAME
        case _:
            return found
    return earlier if earlier.is_dir() else found


def cache_folder() -> Path:
    """Where quantized copies and offloaded weights lie: ``$MISTRALRS_CACHE``, else the platform's folder for caches."""
    if named := os.environ.get("MISTRALRS_CACHE"):
        return Path(named).expanduser()
    from platformdirs import PlatformDirs

    if xdg := os.environ.get("XDG_CACHE_HOME"):  # on every platform, as in earlier versions
        return Path(xdg).expanduser() / NAME
    earlier = Path.home() / ".cache" / NAME
    return earlier if earlier.is_dir() else PlatformDirs(NAME, appauthor=False).user_cache_path


def state_folder() -> Path:
    """Where logs are kept: ``$MISTRALRS_STATE_DIR``, else the platform's folder for what programs note."""
    if named := os.environ.get("MISTRALRS_STATE_DIR"):
        return Path(named).expanduser()
    from platformdirs import PlatformDirs

    return PlatformDirs(NAME, appauthor=False).user_state_path


def config_folder() -> Path:
    """Where ``config.toml`` lies: ``$MISTRALRS_CONFIG_DIR``, else the platform's folder for configuration."""
    if named := os.environ.get("MISTRALRS_CONFIG_DIR"):
        return Path(named).expanduser()
    match sys.platform:
        case "win32" | "darwin":
            from platformdirs import PlatformDirs

            return PlatformDirs(NAME, appauthor=False).user_config_path
        case _:  # every command looks here: without the time that importing platformdirs takes
            return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / NAME


def runtime_folder() -> Path:
    """Where running engines have their sockets: ``$MISTRALRS_RUNTIME_DIR``, else below the user's runtime folder.

    That is ``$XDG_RUNTIME_DIR``, or what it would be; where there is none, a folder for this user in the temporary one.
    """
    if named := os.environ.get("MISTRALRS_RUNTIME_DIR"):
        return Path(named).expanduser()
    user = os.geteuid() if hasattr(os, "geteuid") else None
    usual = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
    if usual.is_dir():
        return usual / NAME
    return Path(tempfile.gettempdir()) / f"{NAME}-{user}"
