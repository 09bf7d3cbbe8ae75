"""Engines in other processes of this user: found by what they have loaded, and asked over a Unix socket.

Imports neither torch nor transformers, nor what reads media: a command that attaches is done before they are loaded.
"""

from __future__ import annotations

from .engine import AttachedEngine
from .find import attach, engines, stop
from .spawn import start

__all__ = ["AttachedEngine", "attach", "engines", "start", "stop"]
