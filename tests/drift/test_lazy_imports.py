"""What answers at once imports nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "transformers", "numpy", "PIL", "soundfile", "accelerate", "bitsandbytes"}
HEAVY |= {"fastapi", "starlette", "uvicorn"}
HELP = "from mistralrs_cli.cli.app import main; main({argv!r})"


def loaded_after(code: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded after running ``code``."""
    report = "import sys; print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", f"{code}\n{report}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import mistralrs",
        "import mistralrs_cli",
        "import mistralrs_cli.errors, mistralrs_cli.messages, mistralrs_cli.events, mistralrs_cli.options",
        "import mistralrs_cli.media.sources, mistralrs_cli.media.formats",
        "import mistralrs_cli.cli.app",
        HELP.format(argv=["--help"]),
        HELP.format(argv=["--version"]),
        HELP.format(argv=["run", "--help"]),
        HELP.format(argv=["serve", "--help"]),
        HELP.format(argv=["run", "--image", "no-such-file.png", "-i", "What is this?"]),
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()


def test_opening_a_checkpoint_needs_no_torch() -> None:
    code = (
        "from mistralrs_cli.loading.checkpoint import open_checkpoint; from mistralrs_cli.options import ModelOptions"
    )
    assert loaded_after(f"{code}; open_checkpoint(ModelOptions())") & {"torch", "torchvision", "transformers"} == set()
