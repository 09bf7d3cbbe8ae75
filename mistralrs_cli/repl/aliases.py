"""Other names of the commands: those that are taken, and those that are only understood."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ALIASES = {"/quit": "/exit", "/q": "/exit", "/bye": "/exit", "/?": "/help"}
"""Other names of commands."""

ALONE = {"exit": "/exit", "quit": "/exit", "help": "/help"}
"""Words that, typed alone, are no question."""

SYNONYMS = {
    **dict.fromkeys(("img", "pic", "pics", "picture", "photo", "images", "attach", "add", "upload"), "image"),
    **dict.fromkeys(("sound", "voice", "music", "wav", "mp3"), "audio"),
    **dict.fromkeys(("clip", "film", "movie", "mp4"), "video"),
    **dict.fromkeys(("read", "text", "txt", "open", "files", "doc", "cat"), "file"),
    **dict.fromkeys(("new", "reset", "restart", "forget"), "clear"),
    **dict.fromkeys(("resume", "sessions", "history", "chats", "continue"), "load"),
    **dict.fromkeys(("regenerate", "again", "redo"), "retry"),
    **dict.fromkeys(("settings", "config", "options", "parameter", "show"), "set"),
    **dict.fromkeys(("prompt", "instructions", "role"), "system"),
    **dict.fromkeys(("tokens", "usage", "info", "status", "context", "cost"), "stats"),
    **dict.fromkeys(("models", "list", "ls", "switch", "pull", "use"), "model"),
    **dict.fromkeys(("think", "thinking", "thoughts", "reasoning"), "thought"),
    **dict.fromkeys(("commands", "h", "man"), "help"),
    **dict.fromkeys(("leave", "end", "stop", "x", "close"), "exit"),
    **dict.fromkeys(("yank", "clip-board"), "copy"),
    **dict.fromkeys(("clipboard",), "paste"),
    **dict.fromkeys(("remove", "detach", "delete", "rm"), "drop"),
    **dict.fromkeys(("back", "revert"), "undo"),
}
"""What commands are called elsewhere."""


def meant(word: str, commands: Iterable[str]) -> str | None:
    """The one of the commands, or of their other names, that a word was probably meant to be."""
    word = word[1:]
    if word in SYNONYMS:
        return f"/{SYNONYMS[word]}"
    known = [command[1:] for command in (*commands, *ALIASES)]
    begun = [command for command in known if len(word) > 1 and command.startswith(word)]
    close = begun or difflib.get_close_matches(word, known, n=1, cutoff=0.65)
    return f"/{close[0]}" if close else None
