"""Make ``.venv`` and install mistralrs into it: what ``make demo`` and ``make test`` run first.

::

    python3 tools/install.py [EXTRA …]

PyTorch goes in before the package, so that the package takes whichever build is there. ``TORCH`` in the environment
names another one, in pip's own words: ``TORCH="torch==2.12.0 --index-url …"``. Standard library only.
"""

import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH = ("torch==2.13.0", "torchvision==0.28.0")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def make_environment() -> None:
    """A virtual environment with pip; Debian and Ubuntu keep what that needs in a package, installed where missing."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, capture_output=True).returncode != 0 and shutil.which("apt-get"):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        print(f"This Python cannot make virtual environments; installing {package}.", file=sys.stderr)
        privileged = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*privileged, "apt-get", "update"], check=True)
        subprocess.run([*privileged, "apt-get", "install", "--yes", package], check=True)
    subprocess.run(command, check=True)


def torch_arguments() -> list[str]:
    """What to ask pip for: the user's choice, else CPU wheels on a Linux machine without a GPU, else the usual ones."""
    if chosen := os.environ.get("TORCH"):
        return shlex.split(chosen)
    if sys.platform == "linux" and not has_gpu() and answers(f"{CPU_WHEELS}/torch/"):
        return [*TORCH, "--extra-index-url", CPU_WHEELS]
    return list(TORCH)


def has_gpu() -> bool:
    """Whether an NVIDIA driver is installed."""
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def answers(url: str) -> bool:
    """Whether the address can be reached from here, decided within seconds."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def install(*arguments: str) -> None:
    """Let pip install into the environment."""
    subprocess.run([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *arguments], check=True)


def main(extras: list[str]) -> int:
    """Set everything up; 1 with a line on stderr when a step failed."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this file runs before anything checks)
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1
    try:
        make_environment()
        install(*torch_arguments())
        install("--editable", f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT))
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"The set-up stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
