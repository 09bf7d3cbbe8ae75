"""``mistralrs batch``: the same question about many files, or a table of questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from ..errors import OptionError
from ..messages import MediaRef
from .batch_run import BatchRun
from .command import given_media
from .given import attach_options, media_options, model_options
from .job import Job
from .params.answer import AnswerParams
from .params.attach import AttachParams
from .params.batch import BatchAudio, BatchImage, BatchInput, BatchInputs, BatchVideo, RowsParams
from .params.group import Except, Only, takes_groups
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams
from .params.output import DryRunRows, QuietErrors, SummaryJson, VerboseLibraries
from .params.question import QuestionParams
from .run import sampling_of


@takes_groups
def batch(
    *,
    ctx: typer.Context,
    inputs: BatchInputs = None,
    input: BatchInput = None,
    image: BatchImage = None,
    audio: BatchAudio = None,
    video: BatchVideo = None,
    question: Annotated[QuestionParams, Only("system")],
    rows: RowsParams,
    model: ModelParams,
    answer: AnswerParams,
    reading: MediaParams,
    hardware: Annotated[HardwareParams, Except("max_seqs", "no_kv_cache")],
    engines: AttachParams,
    as_json: SummaryJson = False,
    quiet: QuietErrors = False,
    dry_run: DryRunRows = False,
    verbose: VerboseLibraries = False,
) -> Job:
    """Ask the same of many files, or each row of a table its own; a row out for every row in.

    mistralrs batch 'shots/**/*.jpg' -i "Describe {stem}." --schema s.json -o out.jsonl
    mistralrs batch questions.csv -o answers.csv
    mistralrs batch --pair 'before/*.png' 'after/*.png' -i "What changed?" -o changes.jsonl
    find . -name '*.wav' | mistralrs batch - -i "What is said?" -o said.csv

    Run it again to go on where it was stopped. Inputs come before options that take several values.
    """
    options = media_options(reading)
    given = given_media(ctx)
    media = tuple(
        MediaRef(kind, source, options=options) for kind, source in given if kind in ("image", "audio", "video")
    )
    if media and not inputs:
        raise OptionError(
            "There is no INPUT: what follows --image, --audio and --video is given to every row.",
            "Name the rows first: mistralrs batch 'shots/*.jpg' --image example.png",
        )
    if rows.pair and rows.per_row > 1:
        raise OptionError("--pair and --per-row exclude each other.", "Give one of them.")
    if as_json and rows.output in (None, "-") and not dry_run:
        raise OptionError("--json shows the summary on stdout, where the rows go.", "Write them to a file: -o FILE")
    loading = model_options(model, hardware)
    return BatchRun(
        inputs=tuple(inputs or ()),
        template=input,
        system=question.system,
        media=media,
        media_options=options,
        rows=rows,
        model=loading if engines.server else replace(loading, max_seqs=max(loading.max_seqs, rows.jobs)),
        sampling=sampling_of(answer),
        named=model.model_id is not None,
        json=as_json,
        quiet=quiet,
        dry_run=dry_run,
        verbose=verbose,
        attach=attach_options(engines),
    )
