"""What a batch asks, and where its rows go: the panels Question and Rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from typer import Argument

from .option import QUESTION, ROWS, at_least, flag_in, option_in

asked = option_in(QUESTION)
option, flag = option_in(ROWS), flag_in(ROWS)

BatchInputs = Annotated[
    list[str] | None,
    Argument(
        metavar="INPUT",
        help="Files, folders, patterns in quotation marks, .jsonl and .csv tables, or - for a list on stdin.",
        hidden=True,
    ),
]
BatchInput = Annotated[
    str | None,
    asked(
        "-i",
        "--input",
        metavar="TEXT",
        help="What to ask of every row; {path}, {name}, {stem} and {row.COLUMN} differ from row to row.",
    ),
]
BatchImage = Annotated[
    list[str] | None,
    asked("--image", metavar="X...", help="Images that come before the media of every row, such as an example."),
]
BatchAudio = Annotated[list[str] | None, asked("--audio", metavar="X...", help="Audio, given likewise.")]
BatchVideo = Annotated[list[str] | None, asked("--video", metavar="X...", help="Videos, given likewise.")]


@dataclass(frozen=True)
class RowsParams:
    """Which files make a row, how many are answered at once, and where the answers go."""

    output: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write rows here: .jsonl, .csv or .parquet. A run that was stopped goes on from it. Unset: stdout.",
        ),
    ] = None
    format: Annotated[
        Literal["jsonl", "csv", "parquet"] | None,
        option("--format", metavar="FORM", help="jsonl, csv or parquet, where the name of FILE does not say."),
    ] = None
    overwrite: Annotated[bool, flag("--overwrite", help="Start over, and lose what is in FILE.")] = False
    ordered: Annotated[
        bool, flag("--ordered", help="Rows in the order of the input, rather than as they are done.")
    ] = False
    jobs: Annotated[
        int, option("--jobs", metavar="N", callback=at_least(1), help="Rows answered at a time.", show_default=True)
    ] = 16
    on_error: Annotated[
        Literal["skip", "stop", "retry"],
        option(
            "--on-error",
            metavar="WHAT",
            help="A row that fails: skip it, stop there, or retry it twice, with those that failed in an earlier run.",
            show_default=True,
        ),
    ] = "skip"
    per_row: Annotated[
        int, option("--per-row", metavar="N", callback=at_least(1), help="Put N files after each other into a row.")
    ] = 1
    pair: Annotated[
        bool, flag("--pair", help="Every INPUT is one side: files whose names agree before the dot make a row.")
    ] = False
    input_format: Annotated[
        Literal["paths", "jsonl", "csv", "tsv"] | None,
        option("--input-format", metavar="FORM", help="Read INPUT as paths, jsonl, csv or tsv, whatever its name."),
    ] = None
