"""``mistralrs doctor``: what is installed, what works, and what to type where something does not."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

import typer

from ..errors import MistralrsError
from ..options import ModelOptions
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_object
from .job import Job
from .params.group import Only, takes_groups
from .params.model import ModelParams
from .params.output import FindingsJson, VerboseLibraries

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@takes_groups
def doctor(
    *,
    ctx: typer.Context,
    model: Annotated[ModelParams, Only("hf_cache", "token_source")],
    as_json: FindingsJson = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Check the installation: libraries, devices, codecs, free space, the hub, and an answer from the demo model.

    Every problem comes with its fix, and ends it with 1. Nothing is sent but a request for the hub's front page.
    """

    return Diagnosis(
        ModelOptions(hf_cache=model.hf_cache, token_source=model.token_source),
        as_json,
        verbose,
        ctx.find_root().command,
    )


@dataclass(frozen=True)
class Diagnosis:
    """A parsed ``doctor``."""

    options: ModelOptions
    json: bool = False
    verbose: bool = False
    commands: Any = None
    """All commands, for which the configuration file is checked."""

    def run(self, console: Console, models: Models) -> None:
        """Show each finding as it is made. Raises ``MistralrsError`` at the end where something failed."""
        from ..loading.checkpoint import hub_token
        from .checkup import checkup
        from .config_check import check_config

        console.verbose = self.verbose
        check_file = partial(check_config, root=self.commands)
        hub_token(self.options.token_source)
        findings = []
        with quiet_libraries(verbose=self.verbose, bars=False), console.answer_only():
            for finding in checkup(self.options, models, check_file):
                findings.append(finding)
                if not self.json:
                    console.answer(f"{MARKS[finding.state]}  {finding.subject:<13} {finding.text}\n")
                    if finding.cure:
                        console.answer(f"{'':19} → {finding.cure}\n")
            if self.json:
                show_object({"findings": [asdict(finding) for finding in findings]}, console)
        failed = [finding.subject for finding in findings if finding.state == "fail"]
        if failed:
            raise MistralrsError(f"Problems found: {', '.join(failed)}.", "Each line shows its fix after →.")
