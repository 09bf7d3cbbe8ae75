"""API keys: who they are, and how much each may ask. A key itself is in no log and no metric, its name is."""

from __future__ import annotations

import hashlib
import hmac
import stat
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from ..errors import OptionError
from ..named_files import named_text

HINT = 'It has a table for each key, as in [alice] with key = "…" and requests_per_minute = 60.'
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency", "batch_lines", "batch_concurrency")
MINUTE = 60.0
LONGEST_NAME = 64


@dataclass(frozen=True)
class Key:
    """A key by its digest, and its limits; ``None`` is no limit. ``owner`` is whose files it has.

    ``batch_lines`` are those of its batch jobs that may wait together, ``batch_concurrency`` those answered at a time.
    """

    name: str
    digest: bytes = field(repr=False)
    owner: str = field(repr=False)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    batch_lines: int | None = None
    batch_concurrency: int | None = None


def digest(key: str) -> bytes:
    """What keys are compared by: of one length, whatever the keys'."""
    return hashlib.sha256(key.encode()).digest()


class Allowance:
    """So many a minute, which come back evenly. It may be overdrawn by what is known afterwards only."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = per_minute
        self._now = now
        self._level = float(per_minute)
        self._at = now()

    @property
    def left(self) -> float:
        """How many there are now."""
        now = self._now()
        self._level = min(float(self.limit), self._level + (now - self._at) * self.limit / MINUTE)
        self._at = now
        return self._level

    def spend(self, count: int) -> None:
        """Take so many."""
        self._level = self.left - count

    def seconds_until(self, level: float) -> float:
        """When there will be so many."""
        return max(0.0, (level - self.left) * MINUTE / self.limit)


class Account:
    """What one key has used of its limits; used from the event loop alone."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.running = 0
        self.requests = changed(None, key.requests_per_minute)
        self.tokens = changed(None, key.tokens_per_minute)

    def change(self, key: Key) -> None:
        """Give it other limits; requests that are running, and what was used, count on."""
        self.key = key
        self.requests = changed(self.requests, key.requests_per_minute)
        self.tokens = changed(self.tokens, key.tokens_per_minute)

    def begin(self) -> None:
        """Count one more request. Raises 429 where it is one too many, with the time to come again."""
        key = self.key
        if key.concurrency is not None and self.running >= key.concurrency:
            raise too_many(f"{key.concurrency} requests at a time", 1.0)
        if self.tokens is not None and self.tokens.left <= 0:
            raise too_many(f"{key.tokens_per_minute:,} tokens a minute", self.tokens.seconds_until(1))
        if self.requests is not None:
            if self.requests.left < 1:
                raise too_many(f"{key.requests_per_minute:,} requests a minute", self.requests.seconds_until(1))
            self.requests.spend(1)
        self.running += 1

    def end(self, tokens: int) -> None:
        """A request has ended that took so many tokens."""
        self.running -= 1
        if self.tokens is not None:
            self.tokens.spend(tokens)

    def headers(self) -> dict[str, str]:
        """OpenAI's headers about limits."""
        found = {}
        for name, allowance in (("requests", self.requests), ("tokens", self.tokens)):
            if allowance is not None:
                found[f"x-ratelimit-limit-{name}"] = str(allowance.limit)
                found[f"x-ratelimit-remaining-{name}"] = str(max(0, int(allowance.left)))
                found[f"x-ratelimit-reset-{name}"] = f"{allowance.seconds_until(allowance.limit):.3f}s"
        return found


def too_many(limit: str, seconds: float) -> HTTPException:
    """The error for a key that has used up a limit."""
    after = max(1, int(seconds + 0.999))
    return HTTPException(429, f"This key may have {limit}. Try again in {after} s.", {"Retry-After": str(after)})


class Keyring:
    """The keys of a server: those of options, which have no names, and those of a file, which is read again."""

    def __init__(self, given: Iterable[str] = (), file: str | None = None) -> None:
        self.file = file
        self._given = [
            Key(f"key-{number}", digest(key), digest(key).hex()) for number, key in enumerate(given, start=1)
        ]
        self._keys: list[Key] = []
        self._accounts: dict[str, Account] = {}
        self.reload()

    def __bool__(self) -> bool:
        return bool(self._keys) or self.file is not None

    @property
    def named(self) -> Sequence[Key]:
        """All keys there are now."""
        return self._keys

    def reload(self) -> int:
        """Read the file again; how many keys there are. What keys have used counts on.

        Raises ``OptionError``, and has the keys it had.
        """
        found = [*self._given, *([] if self.file is None else read_keys(self.file))]
        accounts = {}
        for key in found:
            account = accounts[key.name] = self._accounts.get(key.name) or Account(key)
            account.change(key)
        self._keys, self._accounts = found, accounts
        return len(found)

    def account(self, sent: str) -> Account | None:
        """The account of a key. Each comparison takes the same time, and all are made."""
        given = digest(sent)
        matches = [key for key in self._keys if hmac.compare_digest(given, key.digest)]
        return self._accounts[matches[0].name] if matches else None


def changed(before: Allowance | None, per_minute: int | None) -> Allowance | None:
    """The allowance of a new limit, less what is used of the one before."""
    found = None if per_minute is None else Allowance(per_minute)
    if found is not None and before is not None:
        found.spend(round(before.limit - before.left))
    return found


def read_keys(name: str) -> list[Key]:
    """The keys of a file. Raises ``OptionError``, which never repeats one."""
    path = Path(name).expanduser()
    text = named_text("--api-keys", name, HINT)
    if hasattr(stat, "S_IRWXO") and path.stat().st_mode & 0o077:
        raise OptionError(f"--api-keys: others can read {name}.", f"chmod 600 {name}")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(at " in str(error) else ""
        raise OptionError(f"--api-keys: {name} is not TOML{f' ({place})' if place else ''}.", HINT) from None
    keys = [key_of(label, table, name) for label, table in tables.items()]
    if not keys:
        raise OptionError(f"--api-keys: {name} holds no key.", HINT)
    if len({key.digest for key in keys}) < len(keys):
        raise OptionError(f"--api-keys: {name} has one key under two names.", "Give each name its own.")
    return keys


def key_of(label: str, table: Any, file: str) -> Key:
    """The key of one table."""
    if not isinstance(table, Mapping):
        raise OptionError(f"--api-keys: {label} in {file} is no table.", HINT)
    if not (0 < len(label) <= LONGEST_NAME and label.isprintable()) or label.startswith("key-"):
        raise OptionError(f"--api-keys: {label[:80]!r} is no name for a key.", "Names may not begin with key-.")
    unknown = table.keys() - {"key", *LIMITS}
    if unknown:
        raise OptionError(f"--api-keys: {label} has {', '.join(sorted(unknown))}.", f"Known: key, {', '.join(LIMITS)}.")
    secret = table.get("key")
    if not isinstance(secret, str) or not secret or not all("!" <= letter <= "~" for letter in secret):
        raise OptionError(f"--api-keys: the key of {label} is missing, or HTTP cannot carry it.", HINT)
    for limit in LIMITS:
        value = table.get(limit)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise OptionError(f"--api-keys: {limit} of {label} is not a whole number from 1 on.", "Leave it out.")
    return Key(label, digest(secret), f"name {label}", **{limit: table.get(limit) for limit in LIMITS})
