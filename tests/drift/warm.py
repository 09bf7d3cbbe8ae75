"""``mistralrs`` for the examples of the pages, without the seconds that each new process spends on importing torch.

A server process has imported everything and waits. ``mistralrs`` on the ``PATH`` of an example is a small client: it
hands its words, folder, environment and standard streams to the server, which forks. The child runs the program's own
``entry`` on those very streams, and the client ends as the child did. Each command loads its model, starts its
threads and ends by itself, as in a process of its own; only the imports are shared. POSIX only.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NoReturn, Self

from tests.drift.source import ROOT

IMPORTED = (
    "PIL.ImageDraw",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "pydantic.type_adapter",
    "soundfile",
    "soxr",
    "transformers.models.auto.processing_auto",
    "transformers.models.gemma4.modeling_gemma4",  # the demo model is one
    "transformers.models.gemma4.processing_gemma4",
    "transformers.models.gemma4.image_processing_gemma4",
    "transformers.models.gemma4.video_processing_gemma4",
    "transformers.models.gemma4.feature_extraction_gemma4",
    "mistralrs_cli.families.gemma4",
)
"""What is imported before the first command; importing it starts no thread."""

PACKAGES = tuple(f"mistralrs_cli.{name}" for name in ("cli", "engine", "loading", "media", "terminal"))
"""Packages of which every module is imported."""

CLIENT = """\
import array, json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
words = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
streams = array.array("i", [0, 1, 2])
server.sendmsg([len(words).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
server.sendall(words)
code = server.recv(1)
if not code:
    sys.exit("the process of the command ended without an exit code")
os._exit(code[0])
"""


class Warm:
    """The server process, and in ``folder`` a program ``mistralrs`` that asks it."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="warm-")
        self.folder = Path(self._kept.name)
        client, address = self.folder / "client.py", self.folder / "socket"
        client.write_text(CLIENT)
        words = shlex.join([sys.executable, "-S", "-I", str(client), str(address)])
        program = self.folder / "mistralrs"
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)
        listener = socket.socket(socket.AF_UNIX)
        with listener:
            listener.bind(str(address))
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.drift.warm", str(listener.fileno())],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )

    def close(self) -> None:
        """End the server; commands that still run are ended by those who started them."""
        self._process.communicate()  # closes its standard input
        self._kept.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(listener: socket.socket) -> NoReturn:
    """Import what the commands need, then fork for each that comes."""
    from mistralrs_cli.loading.torchvision import ensure_importable

    ensure_importable()
    for name in IMPORTED:
        importlib.import_module(name)
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    prepare_transformers()
    if threading.active_count() != 1:  # a thread does not live on in a child, but the locks that it holds do
        sys.exit(f"an import started a thread: {threading.enumerate()}")
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    while listener in select.select([listener, sys.stdin], [], [])[0]:  # until the process that started it is gone
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            attend(connection)
        connection.close()
    os._exit(0)


def prepare_transformers() -> None:
    """Let transformers build its table of renamed weights, a thousand regular expressions, before any fork."""
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("gemma4")


def attend(connection: socket.socket) -> NoReturn:
    """In a child of the server: let a child of its own be the command, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    words, folder, environment, streams = receive(connection)
    process = os.fork()
    if not process:
        connection.close()
        become(words, folder, environment, streams)
    for stream in streams:
        os.close(stream)  # a pipe must end where the command ends
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):  # the client may have been ended
        connection.sendall(bytes([code if code >= 0 else 128 - code]))  # as a shell says it
    os._exit(0)


def receive(connection: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    """A client's words, folder, environment and standard streams."""
    streams = array.array("i")
    size, rights, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * streams.itemsize), socket.MSG_WAITALL)
    streams.frombytes(rights[0][2])
    with connection.makefile("rb") as reader:
        words, folder, environment = json.loads(reader.read(int.from_bytes(size, "big")))
    return words, folder, environment, list(streams)


def become(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> NoReturn:
    """Run ``mistralrs`` in this process, in the place of the client."""
    from mistralrs_cli.cli.app import entry

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["mistralrs", *words]
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    entry()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
