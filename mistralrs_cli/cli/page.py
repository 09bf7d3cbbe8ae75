"""The address of the page with its key, and ``mistralrs run --ui``: a server for this user alone, and its page."""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser

from ..options import Sampling, ServerOptions
from ..terminal.console import Console

NO_SAMPLING = Sampling()


def page_options(system: str | None = None, sampling: Sampling = NO_SAMPLING) -> ServerOptions:
    """A server of this machine with a fresh key, so other users of the machine stay out.

    Its page begins with these instructions, and samples in this way.
    """
    from ..attach.server import sampling_fields

    key = new_key()
    settings = sampling_fields(sampling) | ({"system": system} if system else {})
    return ServerOptions(api_keys=(key,), page_key=key, page_settings=settings, local_files=False)


def new_key() -> str:
    """A key that cannot be guessed."""
    return secrets.token_urlsafe(24)


def page_address(options: ServerOptions) -> str:
    """Where the page is. The key stands where browsers keep it to themselves."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "https" if options.certificate else "http"
    return f"{scheme}://{host}:{options.port}{options.root_path}/ui/#key={options.page_key}"


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
