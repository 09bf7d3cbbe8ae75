"""Options by the name that each face gives them.

Messages are written once, with the options of the command line (``--max-edge``, ``-m MODEL``). The command line shows
them as they are; every other face passes them through one of the functions below before its user reads them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from .options import ModelOptions, Sampling


@dataclass(frozen=True, slots=True)
class Names:
    """What the other faces call an option; ``None`` where they cannot set it.

    ``python`` is a parameter or field of the SDK, ``http`` a field of a request, ``chat`` what is typed at the prompt.
    """

    python: str | None = None
    http: str | None = None
    chat: str | None = None


NO_OPTIONS = {"dry", "grammar", "ignore_eos", "logit_bias", "logprobs", "template_kwargs", "thinking", "truncate"} | {
    *("echo", "thinking_budget", "thinking_hint", "turn", "priority")
}
"""What a request can say of how tokens are drawn and the command line cannot, or says otherwise."""


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _table() -> dict[str, Names]:
    """A row for every option that messages name, most of them from the fields they end up in."""
    table = {_flag(field.name): Names(field.name) for field in fields(ModelOptions)}
    drawn = [field.name for field in fields(Sampling) if field.name not in NO_OPTIONS]
    for name in (*drawn, "max_edge"):
        table[_flag(name)] = Names(name, name, f"/set {name}")
    for video, name in {"frames": "num_frames", "fps": "fps", "start": "start", "end": "end"}.items():
        table[f"--video-{video}"] = Names(name, name, f"/set {video}")
    table["--soundtrack"] = Names("soundtrack", "soundtrack", "/set soundtrack")
    for kind in ("image", "audio", "video"):
        table[f"--{kind}"] = Names(f"{kind}s=[…]", f"{kind}_url", f"/{kind}")
    return (
        table
        | {
            "--model-id": Names("model_id", None, "/model"),
            "--quant": Names("in_situ_quant"),
            "--isq": Names("in_situ_quant"),
            "--file": Names("messages", "messages", "/file"),
            "--isq-organization": Names("organization"),
            "--device-layers": Names("num_device_layers"),
            "--tokenizer": Names("tokenizer_json"),
            "--hf-cache": Names("hf_cache_path"),
            "--thinking": Names("enable_thinking", "enable_thinking", "/set thinking"),
            "--json-schema": Names("response_format", "response_format"),
            "--regex": Names("grammar", "grammar"),
            "--grammar": Names("grammar", "grammar"),
            "--system": Names("messages", "messages", "/system"),
            "--input": Names("messages", "messages"),
            "--allowed-media-path": Names("MediaPolicy.local_roots"),
            "--allowed-media-domain": Names("MediaPolicy.domains"),
            "--max-models-loaded": Names("max_models_loaded"),
        }
        | dict.fromkeys((*SERVER, *BATCH), Names())
    )


SERVER = (
    "--api-key",
    "--api-keys",
    "--batch-disk",
    "--batch-folder",
    "--cors-origin",
    "--host",
    "--insecure",
    "--limit-audios",
    "--limit-images",
    "--limit-videos",
    "--max-batches",
    "--max-body",
    "--no-ui",
    "--cors-origin",
    "--max-queue",
    "--models",
    "--no-batches",
    "--port",
    "--server",
    "--ssl-certfile",
    "--ssl-keyfile",
    "--uds",
)
"""Options of ``mistralrs serve`` that no other face has."""

BATCH = ("--format", "--on-error", "--overwrite", "--pair", "--per-row")
"""Options of ``mistralrs batch`` that no other face has."""

OPTIONS = _table()
SHORT = {
    "-a": "--arch",
    "-c": "--chat-template",
    "-i": "--input",
    "-j": "--jinja-explicit",
    "-m": "--model-id",
    "-n": "--device-layers",
    "-s": "--system",
    "-t": "--tokenizer",
}
SWITCHES = {_flag(field.name) for field in fields(ModelOptions) if field.type is bool}
TEXTS = {"--quant", "--isq"}  # numbers of bits are names among others
WORDS = r"auto|cache|cpu|default|demo|disk|moqe|none|true|false"  # values that look like words of a sentence
MENTION = re.compile(
    r"""(?<!\w)'[^'\n]+'(?!\w)"""  # a file name, say, which stays as it is
    r"""|(?<![\w=/."'-])(?P<long>--[a-z][a-z-]*[a-z])(?![\w-])"""
    r"""|(?P<before>^|\n|\b(?:[Pp]oint|[Tt]ry|[Ll]eave out|[Ss]ay|[Ww]rite|with|and|or|after)\s|[;,(]\s?)"""
    r"""(?P<short>-[a-z])(?![\w-])"""
)
VALUE = re.compile(rf"""[ =]("[^"]*"|(?:{WORDS})\b|(?=\S*[A-Z0-9/:])[\w/:;.…~-]*[\w/…~]|\.(?=\s|$))""")
PYTHON = {
    "; quote it if it holds spaces": "",
    "MISTRALRS_DEBUG=1 shows the whole story.": "The exception that it was raised from says more.",
    "logprobs: true": "logprobs=True",
    "logprobs is true": "logprobs=True",
    "needs tools.": "needs tool_schemas.",
    "among the tools.": "among the tool_schemas.",
    'tool_choice "': 'tool_choice="',
    "Use /tokenize to": "Use tokenize_text() to",
    "true or false": "True or False",
    "must be an object": "must be a dictionary",
    "not an object.": "not a dictionary.",
    "not null": "not None",
    "is null": "is None",
}
HTTP = {
    "; quote it if it holds spaces": "",
    "MISTRALRS_DEBUG=1 shows the whole story.": "",
}
TOOL = re.compile(r"\btools\[(\d+)\](?:\.function\b)?")


def in_python(text: str) -> str:
    """A message in the words of the SDK.

    >>> in_python("It does not fit. Try --quant 4, or point -m to another folder.")
    'It does not fit. Try in_situ_quant="4", or point model_id to another folder.'
    """

    def name(flag: str, value: str | None) -> str | None:
        python = OPTIONS[flag].python if flag in OPTIONS else None
        if python is None:
            return None
        if value is None:
            return f"{python}=True" if flag in SWITCHES else python
        if value in ("true", "false"):
            return f"{python}={value.title()}"
        plain = value.startswith('"') or (value.replace(".", "", 1).isdigit() and flag not in TEXTS)
        return f"{python}={value if plain else repr_of(value)}"

    for theirs, ours in PYTHON.items():
        text = text.replace(theirs, ours)
    return _renamed(TOOL.sub(r"tool_schemas[\1]", text), name)[0]


def over_http(text: str) -> str:
    """A message in the words of a request; what only the server's own command line can change is said to be that.

    >>> over_http("Send fewer, or smaller ones (--max-edge).")
    'Send fewer, or smaller ones (max_edge).'
    >>> over_http("Use --quant 4.")
    'Use --quant 4. (--quant is an option of mistralrs serve.)'
    """

    def name(flag: str, value: str | None) -> str | None:
        field = OPTIONS[flag].http if flag in OPTIONS else None
        return None if field is None else field if value is None else f"{field} {value}"

    for theirs, ours in HTTP.items():
        text = text.replace(theirs, ours)
    return _explained(text.strip(), name, "mistralrs serve")


def in_chat(text: str) -> str:
    """A message in the words of the chat.

    >>> in_chat("Try --max-edge 768, or -m google/gemma-4-E4B-it")
    'Try /set max_edge 768, or /model google/gemma-4-E4B-it'
    """

    def name(flag: str, value: str | None) -> str | None:
        typed = OPTIONS[flag].chat if flag in OPTIONS else None
        return None if typed is None else typed if value is None else f"{typed} {value}"

    return _explained(text, name, "mistralrs run")


def _renamed(text: str, name: Callable[[str, str | None], str | None]) -> tuple[str, list[str]]:
    """The text with every option called what ``name`` says, and the options that it has no name for."""
    done, at, left = "", 0, dict[str, str]()
    for found in MENTION.finditer(text):
        said = found["long"] or found["short"]
        flag = SHORT.get(said, said)
        if flag not in OPTIONS:
            continue
        value = VALUE.match(text, found.end())
        called = name(flag, value and value[1])
        if called is None:
            left.setdefault(flag, said)
            continue
        done += text[at : found.start()] + (found["before"] or "") + called
        at = value.end() if value else found.end()
    return done + text[at:], list(left.values())


def _explained(text: str, name: Callable[[str, str | None], str | None], command: str) -> str:
    """The text with its options renamed, and a remark on those that only a command takes."""
    text, left = _renamed(text, name)
    if not left or command in text:
        return text
    listed = " and ".join([", ".join(left[:-1]), left[-1]] if len(left) > 1 else left)
    return f"{text} ({listed} {'are options' if len(left) > 1 else 'is an option'} of {command}.)"


def repr_of(value: str) -> str:
    """A text in quotation marks, as Python programs write it."""
    return f'"{value}"'
