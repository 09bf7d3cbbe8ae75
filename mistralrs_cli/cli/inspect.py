"""``mistralrs inspect``: what a model would be given."""

import typer

from ..messages import MediaRef
from ..options import ModelOptions
from . import params
from .command import model_options
from .oneshot import Output, Request
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
) -> Request:
    """Report what a model would be given for some media: sizes, seconds, frames and tokens. Loads no weights.

    MEDIA are paths, URLs, data: URLs, or - for stdin; the contents of a file decide its type.

    mistralrs inspect *.jpg clip.mp4 -m google/gemma-4-E4B-it
    """
    exclusive({"--quant": quant, "--isq": isq})
    exclusive({"--tokenizer": tokenizer, "--tok-model-id": tok_model_id})
    exclusive({"--video-frames": video_frames, "--video-fps": video_fps})
    options = media_options(max_edge, video_frames, video_fps, video_start, video_end)
    return Request(
        model=model_options(ctx),
        media=tuple(MediaRef("image", source, options=options) for source in sources),
        input=input or "",
        inspecting=True,
        system=system,
        output=Output(json=as_json, quiet=quiet, dry_run=True, verbose=verbose),
        named=model_id is not None,
    )
