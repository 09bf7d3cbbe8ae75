"""Environments for other engines: installed from the registries of Python and npm, below the user's cache folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mistralrs_cli.folders import cache_folder

LLAMA_BINDINGS = "llama-cpp-python==0.3.36"
LLAMA_LIBRARY = "@node-llama-cpp/linux-x64@3.22.1"
MISTRALRS = "mistralrs==0.9.5"
OPENVINO = "openvino-genai==2026.4.1.0"


class NotInstalled(Exception):
    """Why a peer is not there."""


@dataclass(frozen=True)
class Llama:
    """llama.cpp: the Python that calls it, the folder of its libraries and that of the bindings."""

    python: Path
    library: Path
    bindings: Path


def root() -> Path:
    """Where everything lies."""
    return cache_folder() / "benchmarks" / "peers"


def environment(name: str, *packages: str) -> Path:
    """The Python of an environment with these packages, and nothing of this project."""
    folder = root() / name
    python = folder / "bin" / "python"
    complete, wanted = folder / "complete", " ".join(packages)
    if not complete.is_file() or complete.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages)
        complete.write_text(wanted)
    return python


def llama() -> Llama:
    """llama.cpp as npm's prebuilt library has it, which chooses among its back ends the one for this CPU."""
    python = environment("llama", "numpy", "typing_extensions")
    library = root() / f"llama-library-{LLAMA_LIBRARY.rpartition('@')[2]}"
    bindings = root() / f"llama-bindings-{LLAMA_BINDINGS.rpartition('=')[2]}"
    if not (library / "libllama.so").exists():
        library.mkdir(parents=True, exist_ok=True)
        if shutil.which("npm") is None:
            raise NotInstalled("its prebuilt library comes from npm, which is not installed")
        run("npm", "pack", "--silent", LLAMA_LIBRARY, "--pack-destination", library)
        take(library, "*.tgz", lambda name: name.endswith(".so"))
        for short in ("ggml", "llama"):
            (found,) = library.glob(f"lib{short}.v*.so")
            (library / f"lib{short}.so").symlink_to(found.name)
    if not (bindings / "llama_cpp.py").exists():
        bindings.mkdir(parents=True, exist_ok=True)
        run(
            *(python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", bindings),
            LLAMA_BINDINGS,
        )
        take(bindings, "*.tar.gz", lambda name: "/llama_cpp/" in name and name.endswith(".py"))
    return Llama(python, library, bindings)


def take(folder: Path, archive: str, wanted: Callable[[str], bool]) -> None:
    """Put the wanted files of an archive flat into its folder, and remove it."""
    (found,) = folder.glob(archive)
    with tarfile.open(found) as opened:
        for member in opened:
            if wanted(member.name) and (source := opened.extractfile(member)) is not None:
                (folder / Path(member.name).name).write_bytes(source.read())
    found.unlink()


def run(*command: str | Path) -> None:
    """Run a program; what it says last is why a peer is not installed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise NotInstalled(said[-1][:200] if said else f"{Path(command[0]).name} ended with {done.returncode}")


def own_python() -> Path:
    """The Python of this project."""
    return Path(sys.executable)
