"""Which model: the panel Model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...options import ModelOptions
from .option import MODEL, flag_in, option_in

option, flag = option_in(MODEL), flag_in(MODEL)


@dataclass(frozen=True)
class ModelParams:
    """A checkpoint, its tokenizer and its chat template. Fields are those of ``ModelOptions``, and ``preset``."""

    model_id: Annotated[
        str | None,
        option(
            "-m", "--model-id", metavar="MODEL", help="A Hugging Face model or a folder. Unset: the bundled demo model."
        ),
    ] = None
    arch: Annotated[
        str | None,
        option(
            "-a",
            "--arch",
            metavar="NAME",
            help="Reject the model unless it has this architecture: Qwen3VL, Gemma4, …",
        ),
    ] = None
    revision: Annotated[str | None, option("--revision", metavar="REV", help="Branch, tag or commit on the hub.")] = (
        None
    )
    hf_cache: Annotated[str | None, option("--hf-cache", metavar="DIR", help="Where hub downloads are kept.")] = None
    token_source: Annotated[
        str,
        option(
            "--token-source",
            metavar="SOURCE",
            show_default=True,
            help="Hub token: cache, none, literal:TOKEN, env:NAME or path:FILE.",
        ),
    ] = ModelOptions.token_source
    trust_remote_code: Annotated[
        bool, flag("--trust-remote-code", help="Run Python code that comes with the checkpoint.")
    ] = False
    tokenizer: Annotated[str | None, option("-t", "--tokenizer", metavar="FILE", help="Another tokenizer.json.")] = None
    tok_model_id: Annotated[
        str | None,
        option(
            "--tok-model-id",
            metavar="MODEL",
            help="The tokenizer.json of another folder, or of another model on the hub.",
        ),
    ] = None
    chat_template: Annotated[
        str | None, option("-c", "--chat-template", metavar="FILE", help="Another chat template, .json or .jinja.")
    ] = None
    jinja_explicit: Annotated[
        str | None, option("-j", "--jinja-explicit", metavar="FILE", help="A .jinja template that beats all others.")
    ] = None
    matformer_config_path: Annotated[
        str | None,
        option(
            "--matformer-config-path",
            metavar="FILE",
            help="A table of MatFormer slices, .csv or .json; gemma3n.csv ships with the program.",
        ),
    ] = None
    matformer_slice_name: Annotated[
        str | None,
        option(
            "--matformer-slice-name",
            metavar="NAME",
            help="Load this slice of the table: a smaller model inside Gemma 3n.",
        ),
    ] = None
    preset: Annotated[
        str | None,
        option("--preset", metavar="NAME", help="Take the options of this preset in the configuration file."),
    ] = None
