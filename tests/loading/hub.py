"""A small model hub on loopback: as much of the hub's HTTP interface as a download needs, and its ways to fail."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

COMMIT = "c0ffee" + "0" * 34
ROUTE = re.compile(r"^/(?:api/models/)?([^/]+/[^/?]+)(?:/(revision|tree|resolve)/([^/?]+)/?([^?]*))?")


@dataclass
class Repository:
    """A folder on the hub. ``gated`` wants a token that was granted access, ``private`` hides the rest.

    ``base`` is the model that its card says it was made from.
    """

    folder: Path
    gated: bool = False
    private: bool = False
    revisions: tuple[str, ...] = ("main",)
    base: str | None = None


@dataclass
class Hub:
    """``breaks`` counts how often the transfer of a file still breaks off half way; ``ranges`` what was asked again."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    breaks: dict[str, int] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub with a thread of its own."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            granted = self.headers.get("Authorization", "").removeprefix("Bearer ") in hub.tokens
            if self.path == "/api/whoami-v2":
                self.send_account() if granted else self.refuse(401, "InvalidToken")
                return
            found = ROUTE.match(self.path)
            if found is None:
                self.refuse(404, "EntryNotFound")
                return
            name, action, revision, path = found[1], found[2] or "revision", found[3] or "main", found[4]
            repository = hub.repositories.get(name)
            if repository is None or (repository.private and not granted):
                self.refuse(404 if granted else 401, "RepoNotFound")
            elif revision not in (COMMIT, *repository.revisions):
                self.refuse(404, "RevisionNotFound")
            elif action == "revision":
                self.send_json(described(name, repository))
            elif action == "tree":
                self.send_json([entry(file, repository.folder) for file in sorted(repository.folder.rglob("*.*"))])
            elif repository.gated and not granted:
                self.refuse(403 if "Authorization" in self.headers else 401, "GatedRepo")
            elif not (repository.folder / path).is_file():
                self.refuse(404, "EntryNotFound")
            else:
                self.send_file(repository.folder / path, path)

        def send_account(self) -> None:
            token = {"displayName": "a token", "role": "read", "createdAt": "2026-01-01T00:00:00Z"}
            self.send_json({"type": "user", "name": "friend", "auth": {"type": "access_token", "accessToken": token}})

        def send_json(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.answer(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
            self.wfile.write(body)

        def send_file(self, file: Path, path: str) -> None:
            content = file.read_bytes()
            headers = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            start = 0
            if wanted := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
                start = int(wanted[1])
                hub.ranges.append(f"{path} from {start}")
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            body = content[start:]
            self.answer(206 if start else 200, {**headers, "Content-Length": str(len(body))})
            if self.command == "HEAD":
                return
            hub.fetched.append(path)
            if hub.breaks.get(path, 0) > 0:
                hub.breaks[path] -= 1
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            self.wfile.write(body)

        def refuse(self, status: int, code: str) -> None:
            self.answer(status, {"X-Error-Code": code, "X-Error-Message": code, "Content-Length": "0"})

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Tests read ``hub.fetched``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def described(name: str, repository: Repository) -> dict[str, Any]:
    """A repository as the hub describes it."""
    files = sorted(file.relative_to(repository.folder).as_posix() for file in repository.folder.rglob("*.*"))
    return {
        "id": name,
        "sha": COMMIT,
        "siblings": [{"rfilename": file} for file in files],
        "cardData": {"base_model": repository.base} if repository.base else {},
        "gated": repository.gated,
    }


def entry(file: Path, folder: Path) -> dict[str, Any]:
    """A file as the hub lists it."""
    return {
        "type": "file",
        "path": file.relative_to(folder).as_posix(),
        "size": file.stat().st_size,
        "oid": digest(file),
    }


def digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
