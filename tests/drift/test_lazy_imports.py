"""What answers at once imports nothing heavy, and an answer nothing that only compiling and training need."""

import subprocess
import sys

import pytest

from tests.drift.source import ROOT

HEAVY = {"torch", "torchvision", "transformers", "numpy", "PIL", "soundfile", "accelerate", "bitsandbytes"}
HEAVY |= {"fastapi", "starlette", "uvicorn"}
HELP = "from mistralrs_cli.cli.app import main; main({argv!r})"


UNNEEDED: tuple[str, ...] = (
    "torch._dynamo.utils",
    "torch._inductor",
    "torch.distributed.tensor",
    "torch.distributed.fsdp",
)
UNNEEDED += ("torchvision.models.resnet", "torchvision.datasets.mnist", "torchvision.ops.poolers", "sympy")
UNNEEDED += ("scipy.optimize", "sklearn", "pandas", "transformers.trainer", "bitsandbytes", "fastapi", "uvicorn")
ANSWER = """
from mistralrs_cli.cli.app import main
from mistralrs_cli.start import Models
args = ["run", "--image", "examples/media/red_circle.png", "-i", "?", "--max-tokens", "1"]
assert main(args, Models(own_process=True)) == 0
"""
AFTERWARDS = """
import gc, sys
print(*[name for name in sys.modules], file=sys.stderr)
assert gc.isenabled() and gc.get_freeze_count()  # garbage is looked for again, not among what was imported
import torch
import torchvision
assert torch.compile(lambda x: x + 1, backend="eager", fullgraph=True)(torch.ones(2)).tolist() == [2, 2]
assert callable(torchvision.models.resnet18)
assert torchvision.ops.box_area(torch.tensor([[0, 0, 2, 3]])).tolist() == [6]
from torch._dynamo.utils import counters
assert counters is torch._dynamo.utils.counters is sys.modules["torch._dynamo.utils"].counters
from transformers.integrations.deepgemm import is_sm100
assert is_sm100._dynamo_marked_constant  # the mark was set when the compiler was imported, or before
assert torch.distributed.is_available()
try:
    torch._check(len("two") == 2, lambda: "no")
except RuntimeError as error:
    assert str(error) == "no"
else:
    raise AssertionError("torch's checks are still there")
"""


def run(code: str) -> str:
    """The last line on stderr of a fresh interpreter that runs ``code``."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


def loaded_after(code: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded after running ``code``."""
    return set(
        run(f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)").split()
    )


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


def test_an_answer_imports_no_compiler_and_nothing_distributed() -> None:
    """Their parts are there once somebody asks for them."""
    loaded = set(run(ANSWER + AFTERWARDS).split())
    assert loaded & set(UNNEEDED) == set()
    assert "transformers.generation.utils" in loaded
