"""A parsed ``batch``: from its inputs to rows in a file, and what is said of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..batch.answering import Answering, Read, decoded_for, fetched_for
from ..batch.digest import Settings
from ..batch.inputs import Ask, Inputs
from ..batch.output import Output, output_for
from ..batch.pool import answered
from ..batch.resume import Plan
from ..batch.rows import Row
from ..batch.survey import Survey, pending_rows, spread, survey
from ..batch.tally import Pace, Tally
from ..batch.template import uses
from ..batch.written import row_object
from ..errors import EngineDown, MistralrsError, OptionError
from ..messages import MediaOptions, MediaRef
from ..options import DEFAULT_INSTRUCTION, AttachOptions, MediaPolicy, ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_object
from ..terminal.row_progress import RowProgress, clock, per_second
from .elsewhere import elsewhere, kept
from .oneshot import load, open_model
from .params.batch import RowsParams

if TYPE_CHECKING:
    from ..attach.server import ServerEngine
    from ..engine import Engine
    from .elsewhere import Elsewhere

AHEAD = 2
"""Rows whose media are read while as many as may be are answered."""
TOLD = 5
"""Failures that are shown as they come; the others are in the output alone."""


@dataclass(frozen=True)
class Run:
    """A run that goes on: ``pending`` says of each row whether it is still to be answered."""

    inputs: Inputs
    found: Survey
    pending: list[bool]
    output: Output
    tally: Tally
    console: Console


@dataclass(frozen=True)
class BatchRun:
    """A parsed ``batch``."""

    inputs: tuple[str, ...]
    template: str | None
    system: str | None
    media: tuple[MediaRef, ...]
    media_options: MediaOptions
    rows: RowsParams
    model: ModelOptions
    sampling: Sampling = field(default_factory=Sampling)
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    named: bool = True
    json: bool = False
    quiet: bool = False
    dry_run: bool = False
    verbose: bool = False
    attach: AttachOptions = field(default_factory=AttachOptions)

    def run(self, console: Console, models: Models) -> int:
        """Answer all rows that are left; 1 where some failed."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            attached = elsewhere(self.model, self.attach, console, models, named=self.named)
            for notice in models.check(self.model) if attached is None else attached.notices:
                console.note(notice)
            stdin = sys.stdin.buffer if sys.stdin is not None else None
            ask = Ask(self.template, self.system, self.media, self.media_options, self.rows.per_row, self.rows.pair)
            model = (self.model, self.attach.server)
            settings = Settings.of(self.template, self.system, model, self.sampling, self.media_options)
            with console.status("Reading the input"):
                inputs = Inputs(self.inputs, ask, form=self.rows.input_format, stdin=stdin)
            with closing(inputs):
                with console.status("Reading the input"):
                    found = survey(inputs, settings)
                return self._go_on(inputs, found, settings, attached, console, models)

    def _go_on(
        self,
        inputs: Inputs,
        found: Survey,
        settings: Settings,
        attached: Elsewhere | None,
        console: Console,
        models: Models,
    ) -> int:
        """Answer the rows that the output lacks."""
        self._note(found, console)
        if self.rows.overwrite and self.rows.output is not None and inputs.reads(Path(self.rows.output).expanduser()):
            raise OptionError(f"-o {self.rows.output} is among the input.", "Name another file with -o.")
        output = output_for(
            self.rows.output,
            self.rows.format,
            console.answer,
            ordered=self.rows.ordered,
            overwrite=self.rows.overwrite,
        )
        try:
            plan = output.plan(found.rows, settings, retry=self.rows.on_error != "skip")
            self._note_plan(plan, output, console)
            if attached is None and self.attach.keep is not None and plan.left:
                attached = kept(self.model, self.attach, console, models)
            if self.dry_run:
                self._estimate(inputs, found, plan, attached, console, models)
                return 0
            output.begin(plan)
            tally = Tally(len(found.rows), before=plan.done + plan.failed)
            run = Run(inputs, found, [*plan.pending], output, tally, console)
            return self._answer(run, plan, attached, models)
        finally:
            output.close()

    def _note(self, found: Survey, console: Console) -> None:
        """Say what is asked where that is not what was typed."""
        if found.unasked and not (self.template or "").strip():
            console.note(f"no question given; using “{DEFAULT_INSTRUCTION}”")
        if self.template is not None:
            for name in found.columns:
                if name.strip().casefold() == "prompt" and not uses(self.template, f"row.{name}"):
                    console.note(f"-i is asked in place of the column {name}; {{row.{name}}} puts that into it")
        if not self.named and self.attach.server is None:
            console.note("using the bundled demo model; choose another with -m MODEL")

    def _note_plan(self, plan: Plan, output: Output, console: Console) -> None:
        """Say what is there already."""
        there = plan.done + plan.failed
        if there:
            console.note(f"{output.shown} has {rows(there)} already, {plan.left:,} left")
        if plan.failed:
            console.note(f"{rows(plan.failed)} of them failed; --on-error retry asks them again")
        if plan.changed:
            console.note(f"{inputs_of(plan.changed)} changed since they were answered, and are asked again")
        if plan.again:
            console.note(f"{rows(plan.again)} failed in an earlier run, and are asked again")
        if plan.gone:
            console.note(f"{rows(plan.gone)} of {output.shown} are of inputs that are not given now; they stay")

    @contextmanager
    def _here(self, found: Survey, console: Console, models: Models) -> Iterator[tuple[Answering, str]]:
        """What answers rows with a model that is loaded here, and the model's name."""
        from ..families import require

        checkpoint = open_model(self.model, self.media, console, models)
        family = checkpoint.family
        require(family, checkpoint.name, found.kinds)
        prefixes = self.model.prefix_cache_n if self.system or self.media else 0
        engine: Engine
        with load(checkpoint, self.model, console, models, sampling=self.sampling, prefixes=prefixes) as engine:
            read = decoded_for(family.audio_rate, family.sampling, self.policy)
            with closing(self._answering(engine, read)) as answering:
                yield answering, checkpoint.name

    @contextmanager
    def _elsewhere(self, engine: Elsewhere) -> Iterator[tuple[Answering, str]]:
        """What answers rows with an engine of another process, and the model's name."""
        engine.policy = self.policy
        server = cast("ServerEngine | None", engine if self.attach.server is not None else None)
        read = fetched_for(self.policy, server)
        with engine, closing(self._answering(engine, read, elsewhere=True)) as answering:
            yield answering, engine.name

    def _answering(self, engine: Engine | Elsewhere, read: Read, *, elsewhere: bool = False) -> Answering:
        retry = self.rows.on_error == "retry"
        return Answering(engine, self.sampling, read, jobs=self.rows.jobs, retry=retry, elsewhere=elsewhere)

    def _answer(self, run: Run, plan: Plan, attached: Elsewhere | None, models: Models) -> int:
        tally, output, console = run.tally, run.output, run.console
        try:
            if plan.left and not (attached is not None and self._asked_there(run, attached)):
                with self._here(run.found, console, models) as (answering, model):
                    self._ask(run, answering, model)
        except KeyboardInterrupt:
            self._note_stop(tally, output, console)
            raise
        except MistralrsError:
            if tally.done:
                self._note_stop(tally, output, console)
            raise
        if tally.left:
            self._note_stop(tally, output, console)
        else:
            output.finish()
        self._summarize(tally, plan, output, console)
        return 1 if plan.failed or tally.failed or tally.left else 0

    def _asked_there(self, run: Run, engine: Elsewhere) -> bool:
        """Have an engine in another process answer. False, with a note, where it ends before all is answered."""
        try:
            with self._elsewhere(engine) as (answering, model):
                self._ask(run, answering, model)
        except EngineDown as down:
            if self.attach.server is not None:
                raise
            run.console.note(f"{down.message.rstrip('.')}; loading the model here")
            return False
        return True

    def _ask(self, run: Run, answering: Answering, model: str) -> None:
        """Answer the rows that are left, until one fails that must not."""
        jobs, tally, output, console = self.rows.jobs, run.tally, run.output, run.console
        tally.pace = Pace()
        window = 4 * jobs if self.rows.ordered and output.streams else None
        todo = pending_rows(run.inputs, run.found, [*run.pending])
        with (
            RowProgress(console, tally.total, tally.before, printed=output.streams) as progress,
            closing(answered(todo, lambda item: answering(item[1]), jobs + AHEAD, window=window)) as results,
        ):
            for _, (number, row), result in results:
                if isinstance(result, Exception):
                    raise result
                output.add(number, row_object(result, run.found.rows[number][1], model, self.sampling.grammar))
                run.pending[number] = False
                tally.add(result)
                if result.error is not None:
                    self._tell(row, result.error, tally, console)
                progress.update(tally.before + tally.done, tally.failed, tally.pace.rate, tally.seconds_left)
                if result.error is not None and self.rows.on_error == "stop":
                    return

    def _tell(self, row: Row, error: Exception, tally: Tally, console: Console) -> None:
        """Show one of the first failures."""
        if tally.failed <= TOLD:
            console.note(f"{row.id} failed: {error}")
        if tally.failed == TOLD + 1:
            console.note("more rows failed; the output says why")

    def _note_stop(self, tally: Tally, output: Output, console: Console) -> None:
        """Say where the run stands that ends early, and how to go on."""
        there = tally.before + tally.done
        if output.streams:
            console.note(f"stopped after {there:,} of {rows(tally.total)}; with -o FILE a run can be gone on with")
        else:
            console.note(
                f"stopped: {output.shown} has {there:,} of {rows(tally.total)}; the same command goes on from there"
            )

    def _summarize(self, tally: Tally, plan: Plan, output: Output, console: Console) -> None:
        """Say what came of the run."""
        answered = plan.done + tally.answered
        failed = plan.failed + tally.failed
        if self.json:
            summary = {
                "rows": tally.total,
                "answered": answered,
                "failed": failed,
                "left": tally.left,
                "before": tally.before,
                "seconds": round(tally.pace.seconds, 3),
                "prompt_tokens": tally.prompt_tokens,
                "completion_tokens": tally.completion_tokens,
                "output": output.shown,
            }
            show_object(summary, console)
        parts = (
            [f"{answered:,} answered"]
            + [f"{failed:,} failed"] * bool(failed)
            + [f"{tally.left:,} left"] * bool(tally.left)
        )
        speed = ""
        if tally.done:
            tokens = (tally.prompt_tokens + tally.completion_tokens) / tally.pace.seconds
            speed = f" · {tally.done:,} in {clock(tally.pace.seconds)}, {per_second(tally.done / tally.pace.seconds)}"
            speed += f", {tokens:,.0f} tokens/s"
        where = "" if output.streams else f" · {output.shown}"
        console.stats(f"{rows(tally.total)}: {', '.join(parts)}{speed}{where}")

    def _estimate(
        self,
        inputs: Inputs,
        found: Survey,
        plan: Plan,
        attached: Elsewhere | None,
        console: Console,
        models: Models,
    ) -> None:
        """Answer a few rows, and say what all of them would take."""
        left = [number for number, pending in enumerate(plan.pending) if pending]
        tally = Tally(len(left))
        if left:
            chosen = spread(2 * self.rows.jobs, left)
            some = [number in chosen for number in range(len(found.rows))]
            there = self._here(found, console, models) if attached is None else self._elsewhere(attached)
            with there as (answering, _):
                tally = Tally(len(chosen))
                todo = pending_rows(inputs, found, some)
                with (
                    RowProgress(console, len(chosen)) as progress,
                    closing(answered(todo, lambda item: answering(item[1]), self.rows.jobs + AHEAD)) as results,
                ):
                    for _, (_, row), result in results:
                        if isinstance(result, Exception):
                            raise result
                        tally.add(result)
                        if result.error is not None:
                            self._tell(row, result.error, tally, console)
                        progress.update(tally.done, tally.failed, tally.pace.rate, tally.seconds_left)
        share = len(left) / max(tally.done, 1)
        estimate = {
            "rows": len(found.rows),
            "left": len(left),
            "tried": tally.done,
            "failed": tally.failed,
            "prompt_tokens": round(tally.prompt_tokens * share),
            "completion_tokens": round(tally.completion_tokens * share),
            "seconds": round(tally.pace.seconds * share, 1) if left else 0.0,
        }
        if self.json:
            show_object(estimate, console)
            return
        about = "" if tally.done == len(left) else "about "
        lines = [f"rows: {len(found.rows):,}, {len(left):,} of them left"]
        lines.append(f"prompts: {about}{estimate['prompt_tokens']:,} tokens")
        lines.append(f"answers: about {estimate['completion_tokens']:,} tokens")
        lines.append(f"time: about {clock(float(estimate['seconds']))}, measured on {rows(tally.done)}")
        console.answer("\n".join(lines) + "\n")


def rows(count: int) -> str:
    """``1 row``, ``200 rows``."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def inputs_of(count: int) -> str:
    """``1 input``, ``2 inputs``."""
    return f"{count:,} input{'' if count == 1 else 's'}"
