"""What is shown: the panel Output. Its help differs from command to command."""

from __future__ import annotations

from typing import Annotated, Any

from ...options import LogFormat
from .option import OUTPUT, flag_in, option_in

option, flag = option_in(OUTPUT), flag_in(OUTPUT)


def json_flag(help: str) -> Any:
    """``--json``; what the object holds differs from command to command."""
    return flag("--json", help=help)


def quiet_flag(help: str) -> Any:
    """``--quiet``."""
    return flag("-q", "--quiet", help=help)


def verbose_flag(help: str) -> Any:
    """``--verbose``."""
    return flag("-v", "--verbose", help=help)


Json = Annotated[
    bool,
    json_flag("JSON: answer, reason it ended, usage, timings, media. An object for -i, or a line for each line piped."),
]
ReportJson = Annotated[
    bool, json_flag("One JSON object: the model, tokens of the prompt and of each medium, the plan.")
]
SpeedsJson = Annotated[bool, json_flag("One JSON object: what was measured, and the speeds.")]
FindingsJson = Annotated[bool, json_flag("One JSON object: each finding, its state and its fix.")]
SummaryJson = Annotated[bool, json_flag("One JSON object on stdout: how many rows were answered, failed and left.")]
ListJson = Annotated[bool, json_flag("One JSON object: the folder, and an entry for each row of the table.")]
EnginesJson = Annotated[bool, json_flag("One JSON object: the folder of their sockets, and each engine.")]
Quiet = Annotated[bool, quiet_flag("Nothing but the answer and errors.")]
QuietReport = Annotated[bool, quiet_flag("Nothing but the report and errors.")]
QuietServer = Annotated[bool, quiet_flag("No banner and no lines about requests; only errors.")]
QuietErrors = Annotated[bool, quiet_flag("Nothing but errors.")]
Verbose = Annotated[bool, verbose_flag("Show numbers in pipes too, and what libraries say.")]
VerboseLibraries = Annotated[bool, verbose_flag("Show what libraries say.")]
Plain = Annotated[bool, flag("--plain", help="A chat for screen readers: no redrawn lines, answers as plain text.")]
NoStats = Annotated[bool, flag("--no-stats", help="No numbers after the answer.")]
Draw = Annotated[
    str | None,
    option("--draw", metavar="FILE", help="Draw the boxes and points of the answer into its image: out.png."),
]
DryRun = Annotated[bool, flag("--dry-run", help="Only report what the model would be given; load no weights.")]
DryRunRows = Annotated[
    bool, flag("--dry-run", help="Write nothing: count rows and tokens, and time a few rows to say how long it takes.")
]
Ui = Annotated[bool, flag("--ui", help="Open the chat as a page in the browser.")]
LogRequests = Annotated[bool, flag("--log-requests", help="Also log prompts and answers.")]
LogFormatName = Annotated[LogFormat, option("--log-format", metavar="FORM", help="Log lines as text or json.")]
