"""``mistralrs quantize``: write a checkpoint with fewer bits."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from ..options import MediaPolicy, ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.status import Status
from .given import model_options
from .job import Job
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.model import ModelParams
from .params.option import HARDWARE, OUTPUT, at_least
from .params.output import QuietErrors, VerboseLibraries

if TYPE_CHECKING:
    from ..loading import Checkpoint

CALIBRATION = "Calibration"
TOKENS = 8192

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
Calibrate = Annotated[
    list[str] | None,
    Option(
        "--calibrate",
        metavar="FILE…",
        rich_help_panel=CALIBRATION,
        help="Texts, media or conversations (.jsonl) like those the model is for: they lower the error.",
    ),
]
CalibrationTokens = Annotated[
    int,
    Option(
        "--calibration-tokens",
        metavar="N",
        callback=at_least(1),
        show_default=True,
        rich_help_panel=CALIBRATION,
        help="Take no more than N tokens of the texts.",
    ),
]


@takes_groups
def quantize(
    *,
    isq: Type,
    output: Output,
    model: Annotated[ModelParams, Except("arch", "tokenizer", "tok_model_id", "chat_template", "jinja_explicit")],
    hardware: Annotated[HardwareParams, Only("isq_organization", "cpu", "threads")],
    calibrate: Calibrate = None,
    calibration_tokens: CalibrationTokens = TOKENS,
    quiet: QuietErrors = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Write a checkpoint whose weights have fewer bits; it loads without quantizing again.

    mistralrs quantize -m Qwen/Qwen3-VL-4B-Instruct --isq 4 -o qwen3-vl-4bit
    mistralrs run -m qwen3-vl-4bit --image photo.jpg -i "What is this?"
    """
    options = replace(model_options(model, hardware), isq=isq)
    target = Path(output).expanduser()
    return Quantization(options, target, tuple(calibrate or ()), calibration_tokens, quiet, verbose)


@dataclass(frozen=True)
class Quantization:
    """A parsed ``quantize``: ``target`` is the folder to write, ``calibrate`` what to calibrate with."""

    model: ModelOptions
    target: Path
    calibrate: tuple[str, ...] = ()
    tokens: int = TOKENS
    quiet: bool = False
    verbose: bool = False

    def run(self, console: Console, models: Models) -> None:
        """Quantize the weights and write them."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        for notice in models.check(self.model):
            console.note(notice)
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            checkpoint = models.open(self.model)
            with console.status(f"Reading {checkpoint.name}", animated=checkpoint.repository is None) as status:
                notes = self.write(checkpoint, status)
            for note in notes:
                console.note(note)

    def write(self, checkpoint: "Checkpoint", status: Status) -> tuple[str, ...]:
        """Quantize with or without calibration; what was done is returned."""
        from ..loading import quantize as write

        if not self.calibrate:
            return write(checkpoint, self.model, self.target, status.quantizing)
        from ..calibration.calibrate import Calibration, quantize_calibrated
        from ..calibration.sources import read_samples

        calibration = Calibration(self.calibrate, tuple(read_samples(self.calibrate)), self.tokens)
        return quantize_calibrated(checkpoint, self.model, self.target, calibration, MediaPolicy(), status.show)
