"""``mistralrs run --ui``: a server for this user alone, and its page in a browser."""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser

from ..options import ServerOptions
from ..terminal.console import Console


def page_options() -> ServerOptions:
    """A server of this machine with a fresh key, so other users of the machine stay out."""
    return ServerOptions(api_keys=(secrets.token_urlsafe(24),), local_files=False)


def page_address(options: ServerOptions) -> str:
    """Where the page is. The key stands where browsers keep it to themselves."""
    return f"http://{options.host}:{options.port}/ui/#key={options.api_keys[0]}"


def open_page(options: ServerOptions, console: Console) -> None:
    """Say where the page is, and have a browser open it where there is one."""
    address = page_address(options)
    console.log(f"the page is at {address}")
    if not has_browser() or not webbrowser.open(address):
        console.note("no browser could be opened: open that address yourself; Ctrl-C ends it")


def has_browser() -> bool:
    """Whether a browser would get a window: one in this very terminal would be in the way."""
    if sys.platform in ("win32", "darwin") or "BROWSER" in os.environ:
        return True
    return any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
