"""``mistralrs doctor``: what is installed, what works, and what to type where something does not."""

from dataclasses import asdict

from ..errors import MistralrsError
from ..options import ModelOptions
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_object
from . import params
from .oneshot import Job

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def doctor(
    hf_cache: params.HfCache = None,
    token_source: params.TokenSource = ModelOptions.token_source,
    as_json: params.FindingsJson = False,
    verbose: params.VerboseLibraries = False,
) -> Job:
    """Check the installation: libraries, devices, codecs, room, the hub, and an answer from the demo model.

    Every problem comes with its fix, and ends it with 1. Nothing is sent but a request for the hub's front page.
    """

    def work(console: Console) -> None:
        from ..loading.checkpoint import hub_token
        from .checkup import checkup

        console.verbose = verbose
        hub_token(token_source)
        options = ModelOptions(hf_cache=hf_cache, token_source=token_source)
        findings = []
        with quiet_libraries(verbose=verbose, bars=False), console.answer_only():
            for finding in checkup(options):
                findings.append(finding)
                if not as_json:
                    console.answer(f"{MARKS[finding.state]}  {finding.subject:<13} {finding.text}\n")
                    if finding.cure:
                        console.answer(f"{'':19} → {finding.cure}\n")
            if as_json:
                show_object({"findings": [asdict(finding) for finding in findings]}, console)
        failed = [finding.subject for finding in findings if finding.state == "fail"]
        if failed:
            raise MistralrsError(f"Problems found: {', '.join(failed)}.", "Each line shows its fix after →.")

    return work
