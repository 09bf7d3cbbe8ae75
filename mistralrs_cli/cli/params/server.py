"""The panels Server and Limits of ``serve``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...options import ServerOptions
from .option import LIMITS, SERVER, at_least, flag_in, option_in, within

MEBIBYTE, GIBIBYTE = 2**20, 2**30

option, flag = option_in(SERVER), flag_in(SERVER)
limit = option_in(LIMITS)


@dataclass(frozen=True)
class ServerParams:
    """Where the server listens, and who may ask for what."""

    port: Annotated[int, option("-p", "--port", metavar="N", callback=within(0, 65535), help="Where to listen.")] = (
        ServerOptions.port
    )
    host: Annotated[
        str, option("--host", metavar="ADDRESS", help="127.0.0.1 is for this machine only, 0.0.0.0 for every network.")
    ] = ServerOptions.host
    api_key: Annotated[
        list[str] | None, option("--api-key", metavar="KEY", help="A key that requests must carry. May be repeated.")
    ] = None
    api_key_file: Annotated[
        str | None, option("--api-key-file", metavar="FILE", help="More keys, one on each line.")
    ] = None
    api_keys: Annotated[
        str | None, option("--api-keys", metavar="FILE", help="Keys with names and limits, as TOML; SIGHUP rereads it.")
    ] = None
    insecure: Annotated[bool, flag("--insecure", help="Serve other machines without a key.")] = False
    allowed_media_path: Annotated[
        list[str] | None,
        option(
            "--allowed-media-path",
            metavar="DIR",
            help="Allow local files below DIR only. May be repeated.",
        ),
    ] = None
    allowed_media_domain: Annotated[
        list[str] | None,
        option(
            "--allowed-media-domain",
            metavar="NAME",
            help="Fetch media from this host only; *.NAME for its subdomains.",
        ),
    ] = None
    cors_origin: Annotated[
        list[str] | None, option("--cors-origin", metavar="URL", help="Allow web pages of this origin.")
    ] = None
    no_ui: Annotated[bool, flag("--no-ui", help="Leave out the chat page at /ui.")] = False
    served_model_name: Annotated[
        list[str] | None, option("--served-model-name", metavar="NAME", help="What clients call the model. Repeatable.")
    ] = None
    seed: Annotated[
        int | None, option("--seed", metavar="N", callback=within(0, 2**62), help="Seed for requests that name none.")
    ] = None
    strict: Annotated[bool, flag("--strict", help="Reject unknown request fields.")] = False
    grace: Annotated[
        float,
        option(
            "--grace",
            metavar="SECONDS",
            callback=at_least(0),
            help="How long running answers may go on once the server is stopped.",
        ),
    ] = ServerOptions.grace
    root_path: Annotated[
        str, option("--root-path", metavar="PATH", help="The prefix that a proxy serves it under.")
    ] = ServerOptions.root_path
    uds: Annotated[str | None, option("--uds", metavar="PATH", help="Listen on a Unix socket, for this user only.")] = (
        None
    )
    ssl_certfile: Annotated[
        str | None, option("--ssl-certfile", metavar="FILE", help="Certificate for HTTPS, as PEM.")
    ] = None
    ssl_keyfile: Annotated[
        str | None, option("--ssl-keyfile", metavar="FILE", help="The certificate's private key.")
    ] = None
    batch_folder: Annotated[
        str | None,
        option("--batch-folder", metavar="DIR", help="Where files and batch jobs are kept."),
    ] = None
    no_batches: Annotated[bool, flag("--no-batches", help="Keep no files and run no batch jobs.")] = False
    disable_local_files: Annotated[bool, flag("--disable-local-files", help="Reject local file paths in requests.")] = (
        False
    )


@dataclass(frozen=True)
class LimitParams:
    """How much requests may hold, and how many may wait."""

    max_body: Annotated[
        int, limit("--max-body", metavar="MIB", callback=at_least(1), help="Largest request, and medium.")
    ] = ServerOptions.body // MEBIBYTE
    max_queue: Annotated[
        int, limit("--max-queue", metavar="N", callback=at_least(0), help="Requests that may wait; others get 429.")
    ] = ServerOptions.queue
    max_batches: Annotated[
        int, limit("--max-batches", metavar="N", callback=at_least(1), help="Batch jobs that have not ended.")
    ] = ServerOptions.batches
    max_batch_lines: Annotated[
        int, limit("--max-batch-lines", metavar="N", callback=at_least(1), help="Lines of a batch job.")
    ] = ServerOptions.batch_lines
    batch_disk: Annotated[
        int, limit("--batch-disk", metavar="GIB", callback=at_least(1), help="Disk that stored files may take.")
    ] = ServerOptions.batch_disk // GIBIBYTE
    limit_images: Annotated[
        int, limit("--limit-images", metavar="N", callback=at_least(0), help="Most images in a request.")
    ] = ServerOptions.images
    limit_audios: Annotated[
        int, limit("--limit-audios", metavar="N", callback=at_least(0), help="Most audio files in a request.")
    ] = ServerOptions.audios
    limit_videos: Annotated[
        int, limit("--limit-videos", metavar="N", callback=at_least(0), help="Most videos in a request.")
    ] = ServerOptions.videos
