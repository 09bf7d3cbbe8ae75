"""Every option, once: its names, its help and the panel it stands in."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from typer import Argument, BadParameter, Option

from ..errors import OptionError
from ..options import DType, Effort, IsqOrganization, LogFormat

QUESTION, ANSWER, MEDIA = "Question", "Answer", "Reading media"
MODEL, HARDWARE, OUTPUT = "Model", "Precision and hardware", "Output"
SERVER, LIMITS = "Server", "Limits"

Number = TypeVar("Number", int, float)


def always_cached(asked: bool) -> bool:
    """Refuse by its name what mistral.rs has and this has not."""
    if asked:
        raise OptionError(
            "--no-kv-cache: a KV cache is always used.", "--prefix-cache-n 0 keeps none between requests."
        )
    return asked


def at_least(low: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` on. Typer's own bounds would crowd the help."""
    return within(low, math.inf)


def within(low: float, high: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` to ``high``; neither infinity nor not-a-number passes."""

    def check(value: Number | None) -> Number | None:
        if value is not None and not (low <= value <= high and value not in (math.inf, -math.inf)):
            wanted = f"at least {low:g}" if math.isinf(high) else f"from {bound(low)} to {bound(high)}"
            raise BadParameter(f"must be {wanted}, not {str(value)[:40]}.")
        return value

    return check


def bound(value: float) -> str:
    """A bound as it is typed."""
    return f"{value:g}" if abs(value) < 1_000_000 else f"{int(value):,}"


def each(check: Callable[[Number | None], Number | None]) -> Callable[[list[Number] | None], list[Number] | None]:
    """The same check for an option that may be repeated."""

    def check_all(values: list[Number] | None) -> list[Number] | None:
        for value in values or ():
            check(value)
        return values

    return check_all


Kind = Annotated[
    str | None,
    Argument(
        metavar="KIND",
        help="What the model must be: auto, text, multimodal, or vision, the old name of multimodal.",
        hidden=True,
    ),
]
Sources = Annotated[list[str], Argument(metavar="MEDIA", help="Images, audio and videos, in order.", hidden=True)]

# The question
Input = Annotated[
    str | None,
    Option(
        "-i",
        "--input",
        metavar="TEXT",
        rich_help_panel=QUESTION,
        help="Answer this once and exit. - reads it from stdin; text piped on stdin is put before it.",
    ),
]
InspectedInput = Annotated[
    str | None, Option("-i", "--input", metavar="TEXT", rich_help_panel=QUESTION, help="A question, counted as well.")
]
Images = Annotated[
    list[str] | None,
    Option(
        "--image",
        metavar="X...",
        rich_help_panel=QUESTION,
        help="Images: paths, URLs, data: URLs, or - for stdin. Several may follow; the order of all media counts.",
    ),
]
Audios = Annotated[
    list[str] | None, Option("--audio", metavar="X...", rich_help_panel=QUESTION, help="Audio, given likewise.")
]
Videos = Annotated[
    list[str] | None, Option("--video", metavar="X...", rich_help_panel=QUESTION, help="Videos, given likewise.")
]
NoStdin = Annotated[
    bool,
    Option(
        "--no-stdin",
        metavar="",
        rich_help_panel=QUESTION,
        help="Leave stdin alone: for loops that read lines from it.",
    ),
]
System = Annotated[
    str | None,
    Option("-s", "--system", metavar="TEXT", rich_help_panel=QUESTION, help="Instructions that come first."),
]
Continue = Annotated[
    bool,
    Option("--continue", metavar="", rich_help_panel=QUESTION, help="Go on with the last chat."),
]
Resume = Annotated[
    str | None,
    Option("--resume", metavar="[ID]", rich_help_panel=QUESTION, help="Go on with this chat; without ID, choose one."),
]

# The model
ModelId = Annotated[
    str | None,
    Option(
        "-m",
        "--model-id",
        metavar="MODEL",
        rich_help_panel=MODEL,
        help="A Hugging Face model or a folder. Unset: the bundled demo model.",
    ),
]
Arch = Annotated[
    str | None,
    Option(
        "-a",
        "--arch",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="Refuse the model unless it is of this architecture: Qwen3VL, Gemma4, …",
    ),
]
Revision = Annotated[
    str | None, Option("--revision", metavar="REV", rich_help_panel=MODEL, help="Branch, tag or commit on the hub.")
]
HfCache = Annotated[
    str | None, Option("--hf-cache", metavar="DIR", rich_help_panel=MODEL, help="Where hub downloads are kept.")
]
TokenSource = Annotated[
    str,
    Option(
        "--token-source",
        metavar="SOURCE",
        rich_help_panel=MODEL,
        help="Hub token: cache, none, literal:TOKEN, env:NAME or path:FILE.",
        show_default=True,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    Option(
        "--trust-remote-code", metavar="", rich_help_panel=MODEL, help="Run Python code that comes with the checkpoint."
    ),
]
Tokenizer = Annotated[
    str | None,
    Option("-t", "--tokenizer", metavar="FILE", rich_help_panel=MODEL, help="Another tokenizer.json."),
]
TokModelId = Annotated[
    str | None,
    Option(
        "--tok-model-id",
        metavar="MODEL",
        rich_help_panel=MODEL,
        help="The tokenizer.json of another folder, or of another model on the hub.",
    ),
]
ChatTemplate = Annotated[
    str | None,
    Option(
        "-c",
        "--chat-template",
        metavar="FILE",
        rich_help_panel=MODEL,
        help="Another chat template, .json or .jinja.",
    ),
]
JinjaExplicit = Annotated[
    str | None,
    Option(
        "-j", "--jinja-explicit", metavar="FILE", rich_help_panel=MODEL, help="A .jinja template that beats all others."
    ),
]
MatformerConfigPath = Annotated[
    str | None,
    Option(
        "--matformer-config-path",
        metavar="FILE",
        rich_help_panel=MODEL,
        help="A table of MatFormer slices, .csv or .json; gemma3n.csv ships with the program.",
    ),
]
MatformerSliceName = Annotated[
    str | None,
    Option(
        "--matformer-slice-name",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="Load this slice of the table: a smaller model inside Gemma 3n.",
    ),
]

# The answer
MaxTokens = Annotated[
    int | None,
    Option(
        "--max-tokens", callback=at_least(1), metavar="N", rich_help_panel=ANSWER, help="Longest answer, in tokens."
    ),
]
Temperature = Annotated[
    float | None,
    Option(
        "--temperature",
        callback=within(0, 100),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Randomness; 0 always takes the most likely token.",
    ),
]
TopP = Annotated[
    float | None,
    Option(
        "--top-p",
        callback=within(0, 1),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Sample from the most likely tokens that make up this share.",
    ),
]
TopK = Annotated[
    int | None,
    Option(
        "--top-k",
        callback=within(0, 2**30),
        metavar="N",
        rich_help_panel=ANSWER,
        help="Sample from the N most likely tokens; 0 is off.",
    ),
]
MinP = Annotated[
    float | None,
    Option(
        "--min-p",
        callback=within(0, 1),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Drop tokens below F × the probability of the most likely one.",
    ),
]
RepetitionPenalty = Annotated[
    float | None,
    Option(
        "--repetition-penalty",
        callback=within(0.001, 100),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Above 1 repeats less.",
    ),
]
FrequencyPenalty = Annotated[
    float | None,
    Option(
        "--frequency-penalty",
        callback=within(-100, 100),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Subtracted for every earlier use of a token.",
    ),
]
PresencePenalty = Annotated[
    float | None,
    Option(
        "--presence-penalty",
        callback=within(-100, 100),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Subtracted once for any earlier use of a token.",
    ),
]
Stop = Annotated[
    list[str] | None,
    Option("--stop", metavar="TEXT", rich_help_panel=ANSWER, help="End before this text. May be repeated."),
]
Seed = Annotated[
    int | None,
    Option(
        "--seed",
        callback=within(-(2**63), 2**64 - 1),
        metavar="N",
        rich_help_panel=ANSWER,
        help="The same seed gives the same answer.",
    ),
]
Thinking = Annotated[
    Literal["true", "false"] | None,
    Option(
        "--thinking",
        metavar="[=BOOL]",
        rich_help_panel=ANSWER,
        help="true or false: whether a model that can reason before it answers does.",
    ),
]
ReasoningEffort = Annotated[
    Effort | None,
    Option(
        "--reasoning-effort",
        metavar="HOW",
        rich_help_panel=ANSWER,
        help="How long such a model reasons: off, low, medium, high or xhigh.",
    ),
]
JsonSchema = Annotated[
    str | None,
    Option(
        "--json-schema",
        metavar="FILE",
        rich_help_panel=ANSWER,
        help="Constrain the answer to JSON that fits this schema.",
    ),
]
Regex = Annotated[
    str | None,
    Option("--regex", metavar="R", rich_help_panel=ANSWER, help="Constrain the answer to this regular expression."),
]
GrammarFile = Annotated[
    str | None,
    Option(
        "--grammar",
        metavar="FILE",
        rich_help_panel=ANSWER,
        help="Constrain the answer to this Lark or llguidance grammar.",
    ),
]

# How media are read
MaxEdge = Annotated[
    int | None,
    Option(
        "--max-edge",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=MEDIA,
        help="Shrink images to N pixels at most.",
    ),
]
VideoFrames = Annotated[
    int | None,
    Option(
        "--video-frames", callback=at_least(1), metavar="N", rich_help_panel=MEDIA, help="Take N frames, evenly spread."
    ),
]
VideoFps = Annotated[
    float | None,
    Option(
        "--video-fps", callback=at_least(0), metavar="F", rich_help_panel=MEDIA, help="Take F frames a second instead."
    ),
]
VideoStart = Annotated[
    float | None,
    Option("--video-start", callback=at_least(0), metavar="SEC", rich_help_panel=MEDIA, help="Skip what comes before."),
]
VideoEnd = Annotated[
    float | None,
    Option("--video-end", callback=at_least(0), metavar="SEC", rich_help_panel=MEDIA, help="Skip what comes after."),
]

# Precision and hardware
Quant = Annotated[
    str | None,
    Option(
        "--quant",
        metavar="TYPE",
        rich_help_panel=HARDWARE,
        help="Quantize the weights: 2 3 4 5 6 8 bits, a type's name, or auto for what fits. Kept for next time.",
    ),
]
Isq = Annotated[
    str | None,
    Option(
        "--isq",
        metavar="TYPE",
        rich_help_panel=HARDWARE,
        help="The same types, always made while loading; nothing is kept.",
    ),
]
IsqOrganizationName = Annotated[
    IsqOrganization,
    Option(
        "--isq-organization",
        metavar="WHICH",
        rich_help_panel=HARDWARE,
        help="What --isq quantizes: default, or moqe for the routed experts alone.",
    ),
]
DTypeName = Annotated[
    DType,
    Option(
        "--dtype", metavar="TYPE", rich_help_panel=HARDWARE, help="Number type of the weights: auto, bf16, f16 or f32."
    ),
]
Cpu = Annotated[
    bool, Option("--cpu", metavar="", rich_help_panel=HARDWARE, help="Run on the CPU, even where there is a GPU.")
]
Threads = Annotated[
    int | None,
    Option("--threads", callback=at_least(1), metavar="N", rich_help_panel=HARDWARE, help="CPU threads to use."),
]
DeviceLayers = Annotated[
    str | None,
    Option(
        "-n",
        "--device-layers",
        metavar="ORD:NUM;…",
        rich_help_panel=HARDWARE,
        help="Text layers for each GPU, or cpu and disk; what is left goes to the CPU.",
    ),
]
TopologyFile = Annotated[
    str | None,
    Option("--topology", metavar="FILE", rich_help_panel=HARDWARE, help="A device, and bits, for layers by name."),
]
MaxMemory = Annotated[
    str | None,
    Option(
        "--max-memory",
        metavar="ORD:SIZE;…",
        rich_help_panel=HARDWARE,
        help="Memory to use of each device: 0:10GiB;cpu:20GiB.",
    ),
]
MaxSeqLen = Annotated[
    int,
    Option(
        "--max-seq-len",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=HARDWARE,
        help="Plan memory for conversations of N tokens.",
    ),
]
MaxBatchSize = Annotated[
    int,
    Option(
        "--max-batch-size",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=HARDWARE,
        help="Plan memory for N answers at once.",
    ),
]
MaxNumImages = Annotated[
    int | None,
    Option(
        "--max-num-images",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=HARDWARE,
        help="Plan memory for N images, and take no more in a request.",
    ),
]
MaxImageLength = Annotated[
    int,
    Option(
        "--max-image-length",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=HARDWARE,
        help="Plan memory for images of N pixels a side.",
    ),
]
MaxSeqs = Annotated[
    int,
    Option(
        "--max-seqs", callback=at_least(1), metavar="N", rich_help_panel=HARDWARE, help="Most answers made at once."
    ),
]

PrefixCache = Annotated[
    int,
    Option(
        "--prefix-cache-n",
        callback=at_least(0),
        metavar="N",
        rich_help_panel=HARDWARE,
        help="Conversations kept in memory, so that the next turn prefills only what is new; 0: none.",
    ),
]

NoKvCache = Annotated[
    bool,
    Option(
        "--no-kv-cache",
        callback=always_cached,
        metavar="",
        rich_help_panel=HARDWARE,
        help="An option of mistral.rs that is refused: a KV cache is always used.",
    ),
]

# Output


def json_flag(help: str) -> Any:
    """``--json``; what the object holds differs from command to command."""
    return Option("--json", metavar="", rich_help_panel=OUTPUT, help=help)


def quiet_flag(help: str) -> Any:
    """``--quiet``."""
    return Option("-q", "--quiet", metavar="", rich_help_panel=OUTPUT, help=help)


def verbose_flag(help: str) -> Any:
    """``--verbose``."""
    return Option("-v", "--verbose", metavar="", rich_help_panel=OUTPUT, help=help)


Json = Annotated[
    bool,
    json_flag("JSON: answer, reason it ended, usage, timings, media. An object for -i, or a line for each line piped."),
]
ReportJson = Annotated[
    bool, json_flag("One JSON object: the model, tokens of the prompt and of each medium, the plan.")
]
SpeedsJson = Annotated[bool, json_flag("One JSON object: what was measured, and the speeds.")]
FindingsJson = Annotated[bool, json_flag("One JSON object: each finding, its state and its fix.")]
ListJson = Annotated[bool, json_flag("One JSON object: the folder, and an entry for each row of the table.")]
Quiet = Annotated[bool, quiet_flag("Nothing but the answer and errors.")]
QuietReport = Annotated[bool, quiet_flag("Nothing but the report and errors.")]
QuietServer = Annotated[bool, quiet_flag("No banner and no lines about requests; only errors.")]
QuietErrors = Annotated[bool, quiet_flag("Nothing but errors.")]
Verbose = Annotated[bool, verbose_flag("Show numbers in pipes too, and what libraries say.")]
VerboseLibraries = Annotated[bool, verbose_flag("Show what libraries say.")]
Plain = Annotated[
    bool,
    Option(
        "--plain",
        metavar="",
        rich_help_panel=OUTPUT,
        help="A chat for screen readers: no redrawn lines, answers as plain text.",
    ),
]
NoStats = Annotated[bool, Option("--no-stats", metavar="", rich_help_panel=OUTPUT, help="No numbers after the answer.")]
DryRun = Annotated[
    bool,
    Option(
        "--dry-run",
        metavar="",
        rich_help_panel=OUTPUT,
        help="Only report what the model would be given; load no weights.",
    ),
]
# The server
Port = Annotated[
    int,
    Option("-p", "--port", callback=within(0, 65535), metavar="N", rich_help_panel=SERVER, help="Where to listen."),
]
Host = Annotated[
    str,
    Option(
        "--host",
        metavar="ADDRESS",
        rich_help_panel=SERVER,
        help="127.0.0.1 is for this machine only, 0.0.0.0 for every network.",
    ),
]
ApiKeys = Annotated[
    list[str] | None,
    Option("--api-key", metavar="KEY", rich_help_panel=SERVER, help="A key that requests must carry. May be repeated."),
]
ApiKeyFile = Annotated[
    str | None,
    Option("--api-key-file", metavar="FILE", rich_help_panel=SERVER, help="More keys, one on each line."),
]
Insecure = Annotated[
    bool, Option("--insecure", metavar="", rich_help_panel=SERVER, help="Let others in without a key.")
]
Grace = Annotated[
    float,
    Option(
        "--grace",
        callback=at_least(0),
        metavar="SECONDS",
        rich_help_panel=SERVER,
        help="How long running answers may go on once the server is told to stop.",
    ),
]
RootPath = Annotated[
    str,
    Option("--root-path", metavar="PATH", rich_help_panel=SERVER, help="The prefix that a proxy serves it under."),
]
UnixSocket = Annotated[
    str | None,
    Option("--uds", metavar="PATH", rich_help_panel=SERVER, help="Listen on a Unix socket, for this user only."),
]
Certificate = Annotated[
    str | None, Option("--ssl-certfile", metavar="FILE", rich_help_panel=SERVER, help="Certificate for HTTPS, as PEM.")
]
PrivateKey = Annotated[
    str | None, Option("--ssl-keyfile", metavar="FILE", rich_help_panel=SERVER, help="The certificate's private key.")
]
DisableLocalFiles = Annotated[
    bool,
    Option("--disable-local-files", metavar="", rich_help_panel=SERVER, help="Let no request name a local file."),
]
AllowedMediaPaths = Annotated[
    list[str] | None,
    Option(
        "--allowed-media-path",
        metavar="DIR",
        rich_help_panel=SERVER,
        help="Let requests name files below DIR, and no others. May be repeated.",
    ),
]
AllowedMediaDomains = Annotated[
    list[str] | None,
    Option(
        "--allowed-media-domain",
        metavar="NAME",
        rich_help_panel=SERVER,
        help="Fetch media from this host alone; *.NAME for those below it.",
    ),
]
CorsOrigins = Annotated[
    list[str] | None,
    Option("--cors-origin", metavar="URL", rich_help_panel=SERVER, help="Let pages of this origin ask."),
]
NoUi = Annotated[
    bool, Option("--no-ui", metavar="", rich_help_panel=SERVER, help="Without a chat page; there is none yet.")
]
ServedNames = Annotated[
    list[str] | None,
    Option(
        "--served-model-name", metavar="NAME", rich_help_panel=SERVER, help="What clients call the model. Repeatable."
    ),
]
DefaultSeed = Annotated[
    int | None,
    Option(
        "--seed",
        callback=within(0, 2**62),
        metavar="N",
        rich_help_panel=SERVER,
        help="Seed for requests that name none.",
    ),
]
LogRequests = Annotated[
    bool,
    Option("--log-requests", metavar="", rich_help_panel=OUTPUT, help="Log what is asked and answered, too."),
]
LogFormatName = Annotated[
    LogFormat, Option("--log-format", metavar="FORM", rich_help_panel=OUTPUT, help="Log lines as text or json.")
]
Strict = Annotated[
    bool,
    Option("--strict", metavar="", rich_help_panel=SERVER, help="Refuse fields that are not known."),
]
MaxBody = Annotated[
    int,
    Option(
        "--max-body", callback=at_least(1), metavar="MIB", rich_help_panel=LIMITS, help="Largest request, and medium."
    ),
]
MaxQueue = Annotated[
    int,
    Option(
        "--max-queue",
        callback=at_least(0),
        metavar="N",
        rich_help_panel=LIMITS,
        help="Requests that may wait; others get 429.",
    ),
]
LimitImages = Annotated[
    int,
    Option(
        "--limit-images", callback=at_least(0), metavar="N", rich_help_panel=LIMITS, help="Most images in a request."
    ),
]
LimitAudios = Annotated[
    int,
    Option(
        "--limit-audios",
        callback=at_least(0),
        metavar="N",
        rich_help_panel=LIMITS,
        help="Most audio in a request.",
    ),
]
LimitVideos = Annotated[
    int,
    Option(
        "--limit-videos", callback=at_least(0), metavar="N", rich_help_panel=LIMITS, help="Most videos in a request."
    ),
]
