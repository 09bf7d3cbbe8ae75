"""``mistralrs inspect``: what a model would be given."""

from dataclasses import dataclass, field, replace

import typer

from ..errors import MediaDecodeError
from ..messages import MediaBytes, MediaRef
from ..options import MediaPolicy, ModelOptions, Sampling
from ..start import Models
from ..terminal.console import Console
from ..terminal.libraries import quiet_libraries
from . import params
from .command import model_options
from .dry_run import report
from .media import decode_all, fetch_all
from .oneshot import open_model, prompt_messages
from .run import exclusive, media_options


def inspect(
    ctx: typer.Context,
    sources: params.Sources,
    input: params.InspectedInput = None,
    system: params.System = None,
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
    as_json: params.ReportJson = False,
    quiet: params.QuietReport = False,
    verbose: params.VerboseLibraries = False,
) -> "Inspection":
    """Report what a model would be given for some media: sizes, seconds, frames and tokens. Loads no weights.

    MEDIA are paths, URLs, data: URLs, or - for stdin; the contents of a file decide its type.

    mistralrs inspect *.jpg clip.mp4 -m google/gemma-4-E4B-it
    """
    exclusive({"--quant": quant, "--isq": isq})
    exclusive({"--tokenizer": tokenizer, "--tok-model-id": tok_model_id})
    exclusive({"--video-frames": video_frames, "--video-fps": video_fps})
    options = media_options(max_edge, video_frames, video_fps, video_start, video_end)
    return Inspection(
        model=model_options(ctx),
        media=tuple(MediaRef("image", source, options=options) for source in sources),
        input=input or "",
        system=system,
        json=as_json,
        quiet=quiet,
        verbose=verbose,
        named=model_id is not None,
    )


@dataclass(frozen=True)
class Inspection:
    """A parsed ``inspect``."""

    model: ModelOptions
    media: tuple[MediaRef, ...]
    input: str = ""
    system: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    named: bool = True
    """Whether the user named the model."""

    def run(self, console: Console, models: Models) -> None:
        """Report the tokens of the prompt and the plan for the weights, without reading them."""
        console.quiet, console.verbose = self.quiet, self.verbose and not self.quiet
        with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
            for notice in models.check(self.model):
                console.note(notice)
            media = tuple(map(with_detected_kind, fetch_all(self.media, self.policy, console)))
            if not self.named:
                console.note("the bundled demo model is described; -m MODEL picks another")
            checkpoint = open_model(self.model, media, console, models)
            messages = prompt_messages(self.system, decode_all(media, checkpoint, self.policy, console), self.input)
            report(checkpoint, self.model, messages, Sampling(), console, models, json=self.json)


def with_detected_kind(medium: MediaBytes) -> MediaBytes:
    """A medium with the kind that its bytes show. Raises ``MediaDecodeError`` for bytes that are none."""
    from ..media.kinds import kind_of

    kind = kind_of(medium.data)
    if kind is None:
        raise MediaDecodeError(f"{medium.source} is neither an image nor audio nor video.", "Check the file.")
    return replace(medium, kind=kind)
