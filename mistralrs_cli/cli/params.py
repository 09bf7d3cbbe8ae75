"""Every option, once: its names, its help and the panel it stands in."""

import math
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from typer import Argument, BadParameter, Option

from ..options import DType

QUESTION, ANSWER, MEDIA = "Question", "Answer", "Reading media"
MODEL, HARDWARE, OUTPUT = "Model", "Precision and hardware", "Output"

Number = TypeVar("Number", int, float)


def at_least(low: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` on. Typer's own bounds would crowd the help."""
    return within(low, math.inf)


def within(low: float, high: float) -> Callable[[Number | None], Number | None]:
    """A check for numbers from ``low`` to ``high``; neither infinity nor not-a-number passes."""

    def check(value: Number | None) -> Number | None:
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            wanted = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise BadParameter(f"{value} is not {wanted}")
        return value

    return check


Kind = Annotated[
    str | None,
    Argument(
        metavar="KIND",
        help="What the model must be: auto, text, multimodal, or vision, the old name of multimodal.",
        hidden=True,
    ),
]
Sources = Annotated[list[str], Argument(metavar="MEDIA", help="Pictures, sounds and clips, in order.", hidden=True)]

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
        help="Pictures: paths, URLs, data: URLs, or - for stdin. Several may follow; the order of all media counts.",
    ),
]
Audios = Annotated[
    list[str] | None, Option("--audio", metavar="X...", rich_help_panel=QUESTION, help="Sounds, given likewise.")
]
Videos = Annotated[
    list[str] | None, Option("--video", metavar="X...", rich_help_panel=QUESTION, help="Clips, given likewise.")
]
System = Annotated[
    str | None,
    Option("-s", "--system", metavar="TEXT", rich_help_panel=QUESTION, help="Instructions that come first."),
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
        callback=at_least(0),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Randomness; 0 takes the likeliest.",
    ),
]
TopP = Annotated[
    float | None,
    Option(
        "--top-p", callback=within(0, 1), metavar="F", rich_help_panel=ANSWER, help="Draw from this much probability."
    ),
]
TopK = Annotated[
    int | None,
    Option("--top-k", callback=at_least(0), metavar="N", rich_help_panel=ANSWER, help="Draw from the N likeliest."),
]
MinP = Annotated[
    float | None,
    Option(
        "--min-p",
        callback=within(0, 1),
        metavar="F",
        rich_help_panel=ANSWER,
        help="Drop those below F × the likeliest.",
    ),
]
RepetitionPenalty = Annotated[
    float | None,
    Option(
        "--repetition-penalty", callback=at_least(0), metavar="F", rich_help_panel=ANSWER, help="Above 1 repeats less."
    ),
]
FrequencyPenalty = Annotated[
    float | None,
    Option("--frequency-penalty", metavar="F", rich_help_panel=ANSWER, help="Taken off for every earlier use."),
]
PresencePenalty = Annotated[
    float | None,
    Option("--presence-penalty", metavar="F", rich_help_panel=ANSWER, help="Taken off once for any earlier use."),
]
Stop = Annotated[
    list[str] | None,
    Option("--stop", metavar="TEXT", rich_help_panel=ANSWER, help="End before this text. May be repeated."),
]
Seed = Annotated[
    int | None, Option("--seed", metavar="N", rich_help_panel=ANSWER, help="The same seed draws the same answer.")
]
Thinking = Annotated[
    Literal["true", "false"] | None,
    Option(
        "--thinking",
        metavar="[=BOOL]",
        rich_help_panel=ANSWER,
        help="true or false: whether a model that can think aloud does.",
    ),
]
JsonSchema = Annotated[
    str | None,
    Option("--json-schema", metavar="FILE", rich_help_panel=ANSWER, help="Answer in JSON that fits this schema."),
]
Regex = Annotated[
    str | None, Option("--regex", metavar="R", rich_help_panel=ANSWER, help="Answer what this expression matches.")
]
GrammarFile = Annotated[
    str | None,
    Option("--grammar", metavar="FILE", rich_help_panel=ANSWER, help="Answer by this Lark or llguidance grammar."),
]

# How media are read
MaxEdge = Annotated[
    int | None,
    Option(
        "--max-edge",
        callback=at_least(1),
        metavar="N",
        rich_help_panel=MEDIA,
        help="Shrink pictures to N pixels at most.",
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
        "--quant", metavar="TYPE", rich_help_panel=HARDWARE, help="Fewer bits for the weights: 4 (NF4) or 8 (LLM.int8)."
    ),
]
Isq = Annotated[
    str | None, Option("--isq", metavar="TYPE", rich_help_panel=HARDWARE, help="The same, always made while loading.")
]
DTypeName = Annotated[
    DType,
    Option(
        "--dtype", metavar="TYPE", rich_help_panel=HARDWARE, help="Number type of the weights: auto, bf16, f16 or f32."
    ),
]
Cpu = Annotated[bool, Option("--cpu", metavar="", rich_help_panel=HARDWARE, help="Leave the GPU alone.")]
Threads = Annotated[
    int | None,
    Option("--threads", callback=at_least(1), metavar="N", rich_help_panel=HARDWARE, help="CPU threads to use."),
]
MaxSeqs = Annotated[
    int,
    Option(
        "--max-seqs", callback=at_least(1), metavar="N", rich_help_panel=HARDWARE, help="Most answers made at once."
    ),
]

# Output
Json = Annotated[
    bool,
    Option(
        "--json",
        metavar="",
        rich_help_panel=OUTPUT,
        help="One JSON object: answer, reason it ended, usage, timings, media.",
    ),
]
Quiet = Annotated[
    bool, Option("-q", "--quiet", metavar="", rich_help_panel=OUTPUT, help="Nothing but the answer and errors.")
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
Verbose = Annotated[
    bool,
    Option(
        "-v", "--verbose", metavar="", rich_help_panel=OUTPUT, help="Show numbers in pipes too, and what libraries say."
    ),
]
