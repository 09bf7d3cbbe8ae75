"""``mistralrs quantize``: write a checkpoint with fewer bits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ..options import ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from . import params
from .command import model_options

Type = Annotated[
    str,
    Option(
        "--isq",
        "--quant",
        metavar="TYPE",
        rich_help_panel=params.HARDWARE,
        help="Bits of the weights: 2 3 4 5 6 8, or a type's name.",
    ),
]
Output = Annotated[
    str, Option("-o", "--output", metavar="DIR", rich_help_panel=params.OUTPUT, help="A folder that is not there yet.")
]


def quantize(
    ctx: typer.Context,
    isq: Type,
    output: Output,
    model_id: params.ModelId = None,
    revision: params.Revision = None,
    hf_cache: params.HfCache = None,
    token_source: params.TokenSource = ModelOptions.token_source,
    trust_remote_code: params.TrustRemoteCode = False,
    matformer_config_path: params.MatformerConfigPath = None,
    matformer_slice_name: params.MatformerSliceName = None,
    isq_organization: params.IsqOrganizationName = ModelOptions.isq_organization,
    cpu: params.Cpu = False,
    threads: params.Threads = None,
    quiet: params.QuietErrors = False,
    verbose: params.VerboseLibraries = False,
) -> "Quantization":
    """Write a checkpoint whose weights have fewer bits; it loads without quantizing again.

    mistralrs quantize -m Qwen/Qwen3-VL-4B-Instruct --isq 4 -o qwen3-vl-4bit
    mistralrs run -m qwen3-vl-4bit --image photo.jpg -i "What is this?"
    """
    return Quantization(model_options(ctx), Path(output).expanduser(), quiet, verbose)


@dataclass(frozen=True)
class Quantization:
    """A parsed ``quantize``; ``target`` is the folder to write."""

    model: ModelOptions
    target: Path
    quiet: bool = False
    verbose: bool = False

    def run(self, console: Console, models: Models) -> None:
        """Quantize the weights and write them."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        from ..loading import quantize as write

        for notice in models.check(self.model):
            console.note(notice)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            checkpoint = models.open(self.model)
            with console.status(f"Reading {checkpoint.name}", animated=checkpoint.repository is None) as status:
                notes = write(checkpoint, self.model, self.target, status.quantizing)
            for note in notes:
                console.note(note)
