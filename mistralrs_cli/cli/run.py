"""``mistralrs run``: one answer, or a chat."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from ..errors import GrammarError, OptionError
from ..messages import MediaOptions, MediaRef, TextFile
from ..named_files import named_text, position
from ..options import AttachOptions, Grammar, GrammarKind, Sampling
from ..repl import ChatRequest
from ..start import Models
from ..terminal.console import Console
from .argv import CAPTURES, Attachment
from .command import given_media
from .given import attach_options, exclusive, media_options, model_options
from .job import Job
from .kind import check_kind
from .media import Capture, captured, fetch_medium
from .oneshot import OneShot, Output
from .page import page_options
from .params.answer import AnswerParams
from .params.arguments import Kind
from .params.attach import AttachParams
from .params.group import takes_groups
from .params.hardware import HardwareParams
from .params.media import MediaParams
from .params.model import ModelParams
from .params.output import Draw, DryRun, Json, NoStats, Plain, Quiet, Ui, Verbose
from .params.question import QuestionParams
from .prompt import no_question, read_question
from .serve import Serving


@takes_groups
def run(
    *,
    ctx: typer.Context,
    kind: Kind = None,
    question: QuestionParams,
    model: ModelParams,
    answer: AnswerParams,
    reading: MediaParams,
    hardware: HardwareParams,
    engines: AttachParams,
    as_json: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    no_stats: NoStats = False,
    draw: Draw = None,
    dry_run: DryRun = False,
    ui: Ui = False,
    verbose: Verbose = False,
) -> Job:
    """Ask a model about images, audio, video and text, and print its answer.

    mistralrs run --image photo.jpg -i "What is this?"
    mistralrs run --image before.jpg after.jpg -i "What changed?"
    mistralrs run --audio talk.mp3 --json -i "What is said?" > answer.json
    git diff | mistralrs run -m Qwen/Qwen3-VL-4B-Instruct -i "Review this."
    mistralrs run -m google/gemma-4-E4B-it
    mistralrs run --continue -i "And the second one?"
    mistralrs run --keep 10m -m google/gemma-4-E4B-it -i "Hello"
    mistralrs run --ui -m google/gemma-4-E4B-it

    Without -i a chat opens, with the media attached; lines that are piped are answered one by one.
    KIND, anywhere, says what the model must be: auto, text, multimodal, or vision (the old name of multimodal).
    Settings of the answer that are not given are the model's own.
    """
    media = given_media(ctx)
    check_kind(kind, "mistralrs run", media)
    exclusive({"--continue": question.go_on or None, "--resume": question.resume})
    options = media_options(reading)
    request = OneShot(
        model=model_options(model, hardware),
        sampling=sampling_of(answer),
        media=tuple(attached(what, source, options) for what, source in media),
        input=question.input,
        system=question.system,
        kind=kind,
        output=Output(
            json=as_json,
            quiet=quiet,
            stats=not no_stats,
            dry_run=dry_run,
            verbose=verbose,
            draw=drawing(draw, media),
        ),
        named=model.model_id is not None,
        piped=not question.no_stdin,
        attach=attach_options(engines),
    )
    if draw is not None and (ui or question.go_on or question.resume is not None or not asks_once(request, None)):
        raise OptionError("--draw draws one answer, not those of a chat.", "Put the question after -i, or type /draw.")
    if ui:
        return page(request, {"--continue": question.go_on, "--resume": question.resume is not None, "--plain": plain})
    resumed = "" if question.go_on else question.resume
    if resumed is not None and question.input is not None:
        return continued(request, options, question, plain=plain)
    if asks_once(request, resumed):
        exclusive({"--server": request.attach.server, "--dry-run": dry_run or None})
        exclusive({"--draw": draw, "--dry-run": dry_run or None})
        return request
    opened = chat(request, options, resumed, choose=question.resume == "", plain=plain)
    return Capturing(opened) if any(isinstance(medium, Capture) for medium in request.media) else opened


def page(request: OneShot, others: dict[str, bool]) -> Serving:
    """The chat as a page. Raises ``OptionError`` for what is chosen there."""
    from ..registry import ModelSpec
    from ..registry.served import ServedModels, alone

    given = others | {
        "-i": request.input is not None,
        "--image, --audio, --video or --file": bool(request.media),
        "--dry-run": request.output.dry_run,
        "--json": request.output.json,
        "--keep, --no-attach or --server": request.attach != AttachOptions(),
    }
    if names := [name for name, there in given.items() if there]:
        raise OptionError(f"--ui does not take {names[0]}.", "Leave it out: it is chosen in the page.")
    return Serving(
        served=ServedModels((alone(ModelSpec(request.model.model_id, request.model)),), request.model.model_id),
        server=page_options(request.system, request.sampling),
        kind=request.kind,
        quiet=request.output.quiet,
        verbose=request.output.verbose,
        named=request.named,
        show_page=True,
    )


def drawing(name: str | None, media: Sequence[tuple[Attachment, str]]) -> Path | None:
    """Where to draw. Raises ``OptionError`` for a place where that cannot be, and without anything to draw into."""
    if name is None:
        return None
    from ..media.marking import check_target

    if not any(kind in ("image", "video", *CAPTURES.values()) for kind, _ in media):
        raise OptionError("--draw needs an image to draw into.", "Name it: --image photo.jpg")
    path = Path(name).expanduser()
    check_target(path, [source for kind, source in media if kind == "image"])
    return path


def attached(what: Attachment, source: str, options: MediaOptions) -> MediaRef | TextFile:
    """A medium or text of the command line, of which nothing is read yet."""
    if what == "file":
        return TextFile("", source)
    if what == "clipboard" or what == "screenshot":
        return Capture("image", what, options=options)
    return MediaRef(what, source, options=options)


@dataclass(frozen=True)
class Capturing:
    """A chat with media that are taken from the desktop when it begins."""

    chat: ChatRequest

    def run(self, console: Console, models: Models) -> int:
        """Take them, and hold the chat."""
        return replace(self.chat, media=captured(self.chat.media)).run(console, models)


def sampling_of(answer: AnswerParams) -> Sampling:
    """How to sample. Raises ``OptionError`` for options that contradict each other."""
    if "" in (answer.stop or ()):
        raise OptionError("--stop is empty.", 'Name the text to end before: --stop "END"')
    effort = answer.reasoning_effort
    return Sampling(
        max_tokens=answer.max_tokens,
        temperature=answer.temperature,
        top_k=answer.top_k,
        top_p=answer.top_p,
        min_p=answer.min_p,
        repetition_penalty=answer.repetition_penalty,
        frequency_penalty=answer.frequency_penalty,
        presence_penalty=answer.presence_penalty,
        stop=tuple(answer.stop or ()),
        seed=answer.seed,
        grammar=constraint(answer.json_schema, answer.regex, answer.grammar),
        thinking=thinks(answer.thinking, effort),
        reasoning_effort=None if effort == "off" else effort,
    )


def asks_once(request: OneShot, resumed: str | None) -> bool:
    """Whether this is one question rather than a chat."""
    flags = {
        "-i": request.input is not None,
        "--no-stdin": not request.piped,
        "--dry-run": request.output.dry_run,
        "a medium from stdin": any(medium.source == "-" for medium in request.media),
    }
    given = [name for name, there in flags.items() if there]
    if given and resumed is not None:
        raise OptionError(
            f"A chat that goes on takes no {given[0]}.", f"Leave out {given[0]}, or --continue and --resume."
        )
    return bool(given)


@dataclass(frozen=True)
class Continued:
    """A chat that is resumed for the one question ``input``, or what stdin adds to it."""

    chat: ChatRequest
    input: str
    piped: bool = True
    """Whether text on stdin belongs to the question."""

    def run(self, console: Console, models: Models) -> int:
        """Ask, and keep question and answer in the chat."""
        chat = self.chat
        console.quiet, console.verbose = chat.quiet, chat.verbose and not chat.quiet
        question = read_question(self.input, chat.media, console, piped=self.piped)
        media = tuple(
            fetch_medium(medium, chat.policy, console)
            if isinstance(medium, MediaRef) and medium.source == "-"
            else medium
            for medium in captured(chat.media)
        )
        return replace(chat, media=media, question=question).run(console, models)


def continued(request: OneShot, options: MediaOptions, question: QuestionParams, *, plain: bool) -> Job:
    """One question more in a kept chat. Raises ``OptionError`` for what that cannot have."""
    if request.output.dry_run:
        raise OptionError("A chat that goes on takes no --dry-run.", "Leave out --dry-run, or --continue and --resume.")
    if question.resume == "":
        raise OptionError("--resume needs the id of a chat with -i.", "mistralrs sessions list shows them.")
    resumed = "" if question.go_on else question.resume
    asked = chat(request, options, resumed, choose=False, plain=plain)
    return Continued(asked, question.input or "", piped=request.piped)


def chat(request: OneShot, options: MediaOptions, resumed: str | None, *, choose: bool, plain: bool) -> ChatRequest:
    """The chat that a command line without a question opens."""
    output = request.output
    return ChatRequest(
        model=request.model,
        sampling=request.sampling,
        media_options=options,
        media=request.media,
        system=request.system,
        kind=request.kind,
        named=request.named,
        resume=resumed,
        choose=choose,
        plain=plain,
        json=output.json,
        unasked=no_question(request.media),
        quiet=output.quiet,
        stats=output.stats,
        verbose=output.verbose,
        policy=request.policy,
        attach=request.attach,
    )


def thinks(thinking: str | None, effort: str | None) -> bool | None:
    """Whether to think, by either of two options."""
    switched = None if thinking is None else thinking == "true"
    wanted = None if effort is None else effort != "off"
    if None not in (switched, wanted) and switched != wanted:
        raise OptionError(f"--thinking={thinking} and --reasoning-effort {effort} contradict each other.", "Give one.")
    return wanted if switched is None else switched


def constraint(json_schema: str | None, regex: str | None, grammar: str | None) -> Grammar | None:
    """The one constraint on the answer, read from its file."""
    exclusive({"--json-schema": json_schema, "--regex": regex, "--grammar": grammar})
    if regex is not None:
        return checked(Grammar("regex", regex))
    if json_schema is not None:
        text = named_text("--json-schema", json_schema)
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise GrammarError(
                f"{json_schema} is not JSON{position(error)}.", "--json-schema takes a file with a JSON schema."
            ) from error
        return checked(Grammar("json_schema", text))
    if grammar is not None:
        text = named_text("--grammar", grammar)
        kind: GrammarKind = "llguidance" if text.lstrip().startswith("{") else "lark"
        return checked(Grammar(kind, text))
    return None


def checked(grammar: Grammar) -> Grammar:
    """Check a grammar as far as that is possible without the model, and return it."""
    from ..constraint import check

    check(grammar)
    return grammar
