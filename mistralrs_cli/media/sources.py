"""Where a medium's bytes come from: a path, a file, web or data address, raw base64, or standard input.

The policy is checked here, before anything is read. What the bytes mean is not this module's business.
"""

import binascii
import errno
import io
import os
import re
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import unquote, unquote_to_bytes

from ..errors import MediaDecodeError, MediaError, MediaForbidden, MediaNotFound
from ..messages import MediaBytes, MediaFile, MediaRef
from ..options import MediaPolicy
from .formats import beginning, identify
from .kinds import NOUNS
from .labels import label
from .limits import check_bytes
from .lookup import Lookup, similar
from .spellings import split_pages

_SCHEME = re.compile(r"(data|file)(?=:)|([a-z][a-z0-9+.-]+)(?=://)", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{32,}={0,2}\s*")
_CHUNK = 1 << 20
_REASONS = {
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENXIO: "it is not a regular file",
    errno.ENODEV: "it is not a regular file",
    errno.EIO: "the disk reports a fault",
    errno.ESTALE: "the network drive does not answer",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}


def fetch(medium: MediaRef | MediaBytes, policy: MediaPolicy, stdin: BinaryIO | None = None) -> MediaBytes:
    """The same medium with its bytes, and the format that their beginning shows.

    Bytes that are there already are held to ``policy.max_bytes``. ``stdin`` is read for the source ``-``.

    Raises:
        MediaNotFound: no file there, or the web server says so.
        MediaForbidden: the policy or the operating system does not allow it.
        MediaTooLarge: more than ``policy.max_bytes``.
        MediaDecodeError: the source itself is damaged (broken base64, an empty file, a web page).
        MediaError: the web server did not answer properly or in time.
    """
    if isinstance(medium, MediaBytes):
        check_bytes(len(medium.data), medium.source, policy)
        return medium.as_bytes(medium.data, medium.format or identify(medium.data))
    medium = _with_pages(medium, policy)
    data = _read(medium.source, policy, stdin)
    if not data:
        raise MediaDecodeError(
            f"{label(medium.source)} is empty (0 bytes)", f"Give a file that holds {NOUNS[medium.kind]}."
        )
    return medium.as_bytes(data, identify(data))


def name(medium: MediaRef, policy: MediaPolicy) -> MediaFile | None:
    """Local audio or a local video as the file it is, of which only the beginning is read; ``None`` for all else.

    Where the policy allows some folders only, everything is to be fetched: what was checked is what is decoded.
    Raises ``MediaTooLarge`` for more than ``policy.max_bytes``.
    """
    path = None if medium.kind == "image" else local_file(medium.source, policy)
    found = None
    with suppress(OSError):  # fetch says it
        found = identify(beginning(path)) if path is not None else None
    if path is None or found is None or found.kind not in ("audio", "video"):
        return None
    check_bytes(path.stat().st_size, medium.source, policy)
    return medium.as_file(path, found)


def fetch_or_name(medium: MediaRef | MediaBytes, policy: MediaPolicy) -> MediaBytes | MediaFile:
    """``fetch``, but local audio and videos stay where they are."""
    file = name(medium, policy) if isinstance(medium, MediaRef) else None
    return fetch(medium, policy) if file is None else file


def local_file(source: str, policy: MediaPolicy) -> Path | None:
    """The file that a source names, where the policy allows every local file and it may be read from its place.

    ``None`` for all else, also for what is wrong with a path: ``fetch`` says it.
    """
    scheme = _SCHEME.match(source)
    if policy.local_roots is not None or not source.strip() or source == "-":
        return None
    if scheme is not None and scheme.group().lower() != "file":
        return None
    try:
        path = Path(source).expanduser() if scheme is None else _path_of(source)
        path = _located(path, source, policy)
        return path if path.is_file() and path.stat().st_size and os.access(path, os.R_OK) else None
    except (OSError, ValueError, RuntimeError, MediaError):
        return None


def _with_pages(medium: MediaRef, policy: MediaPolicy) -> MediaRef:
    """The medium with the pages that its source names (``doc.pdf#page=2``) among its options, unless that is the very
    name of a file."""
    source, pages = split_pages(medium.source)
    if pages is None or (policy.local_roots is None and os.path.lexists(medium.source)):
        return medium
    return replace(medium, source=source, options=replace(medium.options, pages=pages))


def _read(source: str, policy: MediaPolicy, stdin: BinaryIO | None) -> bytes:
    if source == "-":
        return _read_stdin(policy, stdin)
    scheme = _SCHEME.match(source)
    match scheme.group().lower() if scheme else None:
        case "data":
            return _read_data_url(source, policy)
        case "file":
            return _read_file(_path_of(source), source, policy)
        case "http" | "https":
            if not policy.remote:
                raise MediaForbidden(
                    f"Media from the web are not allowed here: {label(source)}", "Send the file's bytes instead."
                )
            from .remote import download

            return download(source, policy)
        case None:
            return _read_plain(source, policy)
        case other:
            raise MediaForbidden(
                f"Media cannot be read over {other}: {label(source)}", "Use a path, file://, http(s):// or data:."
            )


def _read_plain(source: str, policy: MediaPolicy) -> bytes:
    """A path, or else the raw base64 of a medium."""
    if len(source) >= 32 and _BASE64.fullmatch(source):
        start = _base64("".join(source[:512].split())[:256])
        found = identify(start) if start else None
        if found is not None and found.kind is not None:
            check_bytes(len(source) * 3 // 4, source, policy)
            data = _base64("".join(source.split()))
            if data is None:
                raise MediaDecodeError(f"{label(source)} is not valid base64", "Encode the whole file again.")
            return data
    if not source.strip():
        raise MediaNotFound("An empty path was given for a medium", "Give the path or address of a file.")
    path = Path(source)
    if source.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:  # no such user: then it is simply the name of a file
            path = Path(source)
    return _read_file(path, source, policy)


def _base64(text: str) -> bytes | None:
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        return None


def _read_data_url(source: str, policy: MediaPolicy) -> bytes:
    header, comma, body = source[5:].partition(",")
    if not comma:
        raise MediaDecodeError(f"{label(source)} has no comma before its data", "Write data:<type>;base64,<data>.")
    if "base64" not in (part.strip().lower() for part in header.split(";")[1:]):
        check_bytes(len(body) // 3, source, policy)
        data = unquote_to_bytes(body)
        check_bytes(len(data), source, policy)
        return data
    check_bytes(len(body) * 3 // 4 // (3 if "%" in body else 1), source, policy)
    decoded = _base64("".join(unquote(body).split()))
    if decoded is None:
        raise MediaDecodeError(f"{label(source)} is not valid base64", "Encode the whole file again.")
    check_bytes(len(decoded), source, policy)
    return decoded


def _path_of(source: str) -> Path:
    """The local path of a ``file:`` URL."""
    rest = source[5:]
    if rest.startswith("//"):
        host, slash, tail = rest[2:].partition("/")
        if host.lower() not in ("", "localhost") or not slash:
            raise MediaForbidden(
                f"{label(source)} names the host {host!r}; only files of this machine can be read",
                "Write file:///absolute/path with three slashes.",
            )
        rest = slash + tail
    path = unquote(rest, errors="surrogateescape")
    if os.name == "nt":
        path = path.lstrip("/")
    if not Path(path).is_absolute():
        raise MediaNotFound(f"{label(source)} is not an absolute path", "Write file:///absolute/path.")
    return Path(path)


def _read_file(path: Path, source: str, policy: MediaPolicy) -> bytes:
    try:
        path = _located(path, source, policy)
        # opening a FIFO or a terminal waits; on the user's own command line `<(…)` is a FIFO and has to be waited for
        regular = not policy.pipes or policy.local_roots is not None
        extra = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) if regular else 0
        with io.FileIO(path, opener=lambda name, flags: os.open(name, flags | extra)) as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISDIR(facts.st_mode):
                raise IsADirectoryError
            if regular and not stat.S_ISREG(facts.st_mode):
                raise MediaForbidden(f"{label(source)} is not a regular file", "Give an ordinary file.")
            if policy.local_roots is not None:
                _unchanged(path, facts, source)
            if stat.S_ISREG(facts.st_mode):
                check_bytes(facts.st_size, source, policy)
            return _read_all(file, source, policy)
    except FileNotFoundError as error:
        raise _absent(path, source, policy) from error
    except NotADirectoryError as error:
        raise MediaNotFound(f"No such file: {label(source)}", "A part of the path is a file, not a folder.") from error
    except IsADirectoryError as error:
        raise MediaNotFound(
            f"{label(source)} is a folder, not a file", "Name the files in it, as in folder/*.jpg."
        ) from error
    except PermissionError as error:
        raise MediaForbidden(
            f"No permission to read {label(source)}", "Check the file's owner and mode (ls -l)."
        ) from error
    except ValueError as error:  # a null byte in the path
        raise MediaNotFound(f"Not a possible path: {label(source)}", "Give the path or address of a file.") from error
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, "the system does not let it be read")
        raise MediaNotFound(f"Cannot read {label(source)}: {reason}", "Check the path.") from error


def _located(path: Path, source: str, policy: MediaPolicy) -> Path:
    """The file that a path means: the one of this very name, else the only one whose name folds to the same.

    Below ``policy.local_roots``, with every link resolved, and compared only from the root on.
    """
    roots = policy.local_roots
    if roots is None:
        if os.path.lexists(path):
            return path
        found = Lookup().files(path)
        return found[0] if len(found) == 1 else path
    path = _within(path, source, roots)
    if os.path.lexists(path):
        return path
    root = next(root for root in map(_resolved, roots) if path.is_relative_to(root))
    found = Lookup().files(path, root)
    return _within(found[0], source, roots) if len(found) == 1 else path


def _resolved(root: str) -> Path:
    return Path(root).expanduser().resolve()


def _within(path: Path, source: str, roots: tuple[str, ...]) -> Path:
    """The path with every link and ``..`` resolved, if it lies below one of the roots."""
    resolved = path.resolve()
    if not any(resolved.is_relative_to(_resolved(root)) for root in roots):
        raise MediaForbidden(
            f"Not below a folder that media may be read from: {label(source)}",
            "Allow its folder with --allowed-media-path, or send the file's bytes."
            if roots
            else "Local files may not be read here: send the file's bytes.",
        )
    return resolved


def _unchanged(resolved: Path, opened: os.stat_result, source: str) -> None:
    """A link may be swapped between the check and the opening: what was opened must be what was checked."""
    if resolved.resolve() != resolved or not os.path.samestat(resolved.stat(), opened):
        raise MediaForbidden(f"{label(source)} changed while it was opened", "Try again.")


def _absent(path: Path, source: str, policy: MediaPolicy) -> MediaNotFound:
    """The error for a file that is not there. Only who may look around is told what else is."""
    if policy.local_roots is None and path.is_symlink():
        return MediaNotFound(
            f"{label(source)} is a link to {label(str(path.readlink()))}, which is not there", "Name the file itself."
        )
    close = similar(path) if policy.local_roots is None else None
    hint = (
        f"Did you mean '{label(str(path.with_name(close)))}'?"
        if close
        else "Check the path; quote it if it holds spaces."
    )
    return MediaNotFound(f"No such file: {label(source)}", hint)


def _read_stdin(policy: MediaPolicy, stdin: BinaryIO | None) -> bytes:
    if stdin is None:
        raise MediaForbidden("Standard input cannot be read here", "Give a path or an address.")
    try:
        return _read_all(stdin, "-", policy)
    except OSError as error:
        raise MediaError("Standard input cannot be read", "Pipe a file into it.") from error


def _read_all(file: IO[bytes] | io.RawIOBase, source: str, policy: MediaPolicy) -> bytes:
    data = bytearray()
    while chunk := file.read(_CHUNK):
        data += chunk
        check_bytes(len(data), source, policy)
    return bytes(data)
