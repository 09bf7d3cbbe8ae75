"""``mistralrs quantize``: write a checkpoint with fewer bits."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from ..options import ModelOptions
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from . import params
from .command import model_options
from .oneshot import Job

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
) -> Job:
    """Write a checkpoint whose weights have fewer bits; it loads without quantizing again.

    mistralrs quantize -m Qwen/Qwen3-VL-4B-Instruct --isq 4 -o qwen3-vl-4bit
    mistralrs run -m qwen3-vl-4bit --image photo.jpg -i "What is this?"
    """
    options = model_options(ctx)

    def work(console: Console) -> None:
        console.quiet, console.verbose = quiet, verbose and not quiet
        from ..loading import check, open_checkpoint
        from ..loading import quantize as write

        for notice in check(options):
            console.note(notice)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            checkpoint = open_checkpoint(options)
            animated = checkpoint.repository is None
            with console.status(f"Reading {checkpoint.name}", animated=animated) as status:
                notes = write(checkpoint, options, Path(output).expanduser(), status.quantizing)
            for note in notes:
                console.note(note)

    return work
