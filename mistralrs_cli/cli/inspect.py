"""``mistralrs inspect``: what a model would be given."""

from ..messages import Media
from ..options import DEMO_MODEL, ModelOptions
from . import params
from .oneshot import Output, Request
from .run import exclusive, media_options


def inspect(
    sources: params.Sources,
    input: params.InspectedInput = None,
    system: params.System = None,
    model_id: params.ModelId = None,
    revision: params.Revision = None,
    hf_cache: params.HfCache = None,
    token_source: params.TokenSource = ModelOptions.token_source,
    trust_remote_code: params.TrustRemoteCode = False,
    tokenizer: params.Tokenizer = None,
    chat_template: params.ChatTemplate = None,
    jinja_explicit: params.JinjaExplicit = None,
    max_edge: params.MaxEdge = None,
    video_frames: params.VideoFrames = None,
    video_fps: params.VideoFps = None,
    video_start: params.VideoStart = None,
    video_end: params.VideoEnd = None,
    as_json: params.Json = False,
    quiet: params.Quiet = False,
    verbose: params.Verbose = False,
) -> Request:
    """Report what a model would be given for some media: sizes, seconds, frames and tokens. Loads no weights.

    MEDIA are paths, URLs, data: URLs, or - for stdin; their bytes say what they are.

    mistralrs inspect *.jpg clip.mp4 -m google/gemma-4-E4B-it
    """
    exclusive({"--video-frames": video_frames, "--video-fps": video_fps})
    options = media_options(max_edge, video_frames, video_fps, video_start, video_end)
    return Request(
        model=ModelOptions(
            model_id=model_id or DEMO_MODEL,
            revision=revision,
            hf_cache=hf_cache,
            token_source=token_source,
            trust_remote_code=trust_remote_code,
            tokenizer=tokenizer,
            chat_template=chat_template,
            jinja_explicit=jinja_explicit,
        ),
        media=tuple(Media("image", source, options=options) for source in sources),
        input=input or "",
        inspecting=True,
        system=system,
        output=Output(json=as_json, quiet=quiet, dry_run=True, verbose=verbose),
        named=model_id is not None,
    )
