"""``mistralrs run``: one answer, or a chat."""

import json

import typer

from ..errors import GrammarError, OptionError
from ..messages import MediaOptions, MediaRef, Modality
from ..named_files import named_text, position
from ..options import Grammar, GrammarKind, ModelOptions, Sampling
from ..repl import ChatRequest
from . import params
from .argv import KINDS
from .command import given_media, model_options
from .job import Job
from .oneshot import OneShot, Output
from .prompt import nothing_asked


def run(
    ctx: typer.Context,
    kind: params.Kind = None,
    input: params.Input = None,
    image: params.Images = None,
    audio: params.Audios = None,
    video: params.Videos = None,
    no_stdin: params.NoStdin = False,
    system: params.System = None,
    go_on: params.Continue = False,
    resume: params.Resume = None,
    model_id: params.ModelId = None,
    arch: params.Arch = None,
    revision: params.Revision = None,
    hf_cache: params.HfCache = None,
    token_source: params.TokenSource = ModelOptions.token_source,
    trust_remote_code: params.TrustRemoteCode = False,
    tokenizer: params.Tokenizer = None,
    tok_model_id: params.TokModelId = None,
    chat_template: params.ChatTemplate = None,
    jinja_explicit: params.JinjaExplicit = None,
    matformer_config_path: params.MatformerConfigPath = None,
    matformer_slice_name: params.MatformerSliceName = None,
    max_tokens: params.MaxTokens = None,
    temperature: params.Temperature = None,
    top_p: params.TopP = None,
    top_k: params.TopK = None,
    min_p: params.MinP = None,
    repetition_penalty: params.RepetitionPenalty = None,
    frequency_penalty: params.FrequencyPenalty = None,
    presence_penalty: params.PresencePenalty = None,
    stop: params.Stop = None,
    seed: params.Seed = None,
    thinking: params.Thinking = None,
    reasoning_effort: params.ReasoningEffort = None,
    json_schema: params.JsonSchema = None,
    regex: params.Regex = None,
    grammar: params.GrammarFile = None,
    max_edge: params.MaxEdge = None,
    video_frames: params.VideoFrames = None,
    video_fps: params.VideoFps = None,
    video_start: params.VideoStart = None,
    video_end: params.VideoEnd = None,
    quant: params.Quant = None,
    isq: params.Isq = None,
    isq_organization: params.IsqOrganizationName = ModelOptions.isq_organization,
    dtype: params.DTypeName = ModelOptions.dtype,
    cpu: params.Cpu = False,
    device_layers: params.DeviceLayers = None,
    topology: params.TopologyFile = None,
    max_memory: params.MaxMemory = None,
    max_seq_len: params.MaxSeqLen = ModelOptions.max_seq_len,
    max_batch_size: params.MaxBatchSize = ModelOptions.max_batch_size,
    max_num_images: params.MaxNumImages = None,
    max_image_length: params.MaxImageLength = ModelOptions.max_image_length,
    threads: params.Threads = None,
    max_seqs: params.MaxSeqs = ModelOptions.max_seqs,
    prefix_cache_n: params.PrefixCache = ModelOptions.prefix_cache_n,
    no_kv_cache: params.NoKvCache = False,
    as_json: params.Json = False,
    quiet: params.Quiet = False,
    plain: params.Plain = False,
    no_stats: params.NoStats = False,
    dry_run: params.DryRun = False,
    verbose: params.Verbose = False,
) -> Job:
    """Ask a model about images, audio, videos and text, and print its answer.

    mistralrs run --image photo.jpg -i "What is this?"
    mistralrs run --image before.jpg after.jpg -i "What changed?"
    mistralrs run --audio talk.mp3 --json -i "What is said?" > answer.json
    git diff | mistralrs run -m Qwen/Qwen3-VL-4B-Instruct -i "Review this."
    mistralrs run -m google/gemma-4-E4B-it

    Without -i a chat opens, with the media attached; lines that are piped are answered one by one.
    KIND, anywhere, says what the model must be: auto, text, multimodal, or vision (the old name of multimodal).
    Settings of the answer that are not given are the model's own.
    """
    media = given_media(ctx)
    check_kind(kind, "mistralrs run", media)
    exclusive({"--quant": quant, "--isq": isq})
    exclusive({"--tokenizer": tokenizer, "--tok-model-id": tok_model_id})
    exclusive({"--continue": True if go_on else None, "--resume": resume})
    exclusive({"--video-frames": video_frames, "--video-fps": video_fps})
    if "" in (stop or ()):
        raise OptionError("--stop is empty.", 'Name the text to end before: --stop "END"')
    options = media_options(max_edge, video_frames, video_fps, video_start, video_end)
    request = OneShot(
        model=model_options(ctx),
        sampling=Sampling(
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            stop=tuple(stop or ()),
            seed=seed,
            grammar=constraint(json_schema, regex, grammar),
            thinking=thinks(thinking, reasoning_effort),
            reasoning_effort=None if reasoning_effort == "off" else reasoning_effort,
        ),
        media=tuple(MediaRef(modality, source, options=options) for modality, source in media),
        input=input,
        system=system,
        kind=kind,
        output=Output(json=as_json, quiet=quiet, stats=not no_stats, dry_run=dry_run, verbose=verbose),
        named=model_id is not None,
        piped=not no_stdin,
    )
    resumed = "" if go_on else resume
    return request if asks_once(request, resumed) else chat(request, options, resumed, choose=resume == "", plain=plain)


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
        unasked=nothing_asked(request.media),
        quiet=output.quiet,
        stats=output.stats,
        verbose=output.verbose,
        policy=request.policy,
    )


def thinks(thinking: str | None, effort: str | None) -> bool | None:
    """Whether to think, by either of two options."""
    said = None if thinking is None else thinking == "true"
    wanted = None if effort is None else effort != "off"
    if None not in (said, wanted) and said != wanted:
        raise OptionError(f"--thinking={thinking} and --reasoning-effort {effort} contradict each other.", "Give one.")
    return wanted if said is None else said


def check_kind(word: str | None, path: str, media: tuple[tuple[Modality, str], ...] = ()) -> None:
    """Refuse media for a text model, and other words: a question without ``-i``, a second file after ``--image=``."""
    if word == "text" and media:
        raise OptionError(
            f"--{media[0][0]} cannot be used with the kind 'text'.", "Leave out the word text, or say multimodal."
        )
    if word is not None and word not in KINDS:
        from .usage import unexpected

        raise unexpected(word, path)


def exclusive(options: dict[str, object | None]) -> None:
    """Refuse options that cannot stand together."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} exclude each other.", f"Give one of them: {' or '.join(given)}.")


def media_options(
    max_edge: int | None, frames: int | None, fps: float | None, start: float | None, end: float | None
) -> MediaOptions:
    """How media are read. Raises ``OptionError`` for a rate or a range that holds nothing."""
    if fps is not None and fps <= 0:
        raise OptionError("--video-fps must be above 0.", "For example: --video-fps 2")
    if end is not None and end <= (start or 0.0):
        raise OptionError(
            f"--video-end {end:g} is not after --video-start {start or 0.0:g}.", "Both are seconds from the beginning."
        )
    return MediaOptions(max_edge=max_edge, frames=frames, fps=fps, start=start, end=end)


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
    """A constraint that can be kept to, as far as can be told without the model."""
    from ..constraint import check

    check(grammar)
    return grammar
