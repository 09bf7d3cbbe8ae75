"""``mistralrs quantize``: write a checkpoint with fewer bits."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Option

from ..options import ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from .given import model_options
from .job import Job
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import HARDWARE, OUTPUT
from .params.output import QuietErrors, VerboseLibraries

Type = Annotated[
    str,
    Option(
        "--isq",
        "--quant",
        metavar="TYPE",
        rich_help_panel=HARDWARE,
        help="Bits of the weights: 2 3 4 5 6 8, or a type's name.",
    ),
]
Output = Annotated[
    str, Option("-o", "--output", metavar="DIR", rich_help_panel=OUTPUT, help="A folder that is not there yet.")
]


@takes_groups
def quantize(
    *,
    isq: Type,
    output: Output,
    model: Annotated[ModelParams, Except("arch", "tokenizer", "tok_model_id", "chat_template", "jinja_explicit")],
    hardware: Annotated[HardwareParams, Only("isq_organization", "cpu", "threads")],
    quiet: QuietErrors = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Write a checkpoint whose weights have fewer bits; it loads without quantizing again.

    mistralrs quantize -m Qwen/Qwen3-VL-4B-Instruct --isq 4 -o qwen3-vl-4bit
    mistralrs run -m qwen3-vl-4bit --image photo.jpg -i "What is this?"
    """
    options = replace(model_options(model, hardware), isq=isq)
    return Quantization(options, Path(output).expanduser(), quiet, verbose)


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
