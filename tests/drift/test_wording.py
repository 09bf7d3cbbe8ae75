"""Messages name options of the command line, and every face gives its user the names that work there."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mistralrs import ChatCompletionRequest, MediaPolicy, Runner, Which
from mistralrs_cli.cli.app import explain
from mistralrs_cli.engine.failures import translate
from mistralrs_cli.engine.sampling.params import check_range
from mistralrs_cli.engine.template_inputs import check_template_inputs
from mistralrs_cli.errors import MistralrsError, OutOfMemory
from mistralrs_cli.families import require
from mistralrs_cli.loading import check, open_checkpoint
from mistralrs_cli.media import decode, fetch
from mistralrs_cli.messages import MediaBytes, MediaRef
from mistralrs_cli.options import ModelOptions, Sampling
from mistralrs_cli.protocol.messages import OPTIONS as PART_OPTIONS
from mistralrs_cli.repl.commands import COMMANDS
from mistralrs_cli.repl.loop import show
from mistralrs_cli.repl.settings import SETTINGS
from mistralrs_cli.sdk.problems import translated
from mistralrs_cli.server.http.errors import details
from mistralrs_cli.server.interfaces.schemas import ChatRequest
from mistralrs_cli.wording import BATCH, MENTION, OPTIONS, SERVER, SHORT, in_chat, in_python, over_http
from tests.drift.source import PACKAGE, label, modules
from tests.drift.test_documented import commands, options

FACES = {"cli", "repl", "sdk", "terminal"}
OTHERS = {
    "--force-reinstall": "pip's",
    "--calibrate": "of mistralrs quantize, which no other face has",
    **dict.fromkeys(("--list-types", "--no-newline", "--type"), "of wl-paste"),
    **dict.fromkeys(("-b", "-x"), "of spectacle and screencapture"),
    "-f": "ffmpeg's, and gnome-screenshot's",
    "-o": "of mistralrs quantize, which no other face has",
    "-p": "of serve's own errors",
}


def texts(path: Path) -> Iterator[str]:
    """The strings of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


def mentioned() -> dict[str, set[str]]:
    """Every option that a string of shared code mentions, and where."""
    found: dict[str, set[str]] = {}
    for path in modules():
        if path.relative_to(PACKAGE).parts[0] not in FACES | {"wording.py"}:
            for text in texts(path):
                for mention in MENTION.finditer(text):
                    if option := mention["long"] or mention["short"]:
                        found.setdefault(option, set()).add(label(path))
    return found


def real() -> set[str]:
    """Every option of ``run``, ``batch`` and ``serve``."""
    return {option for name in ("run", "batch", "serve") for option in options(commands()[name])}


def test_options_are_mentioned() -> None:
    assert len(mentioned()) > 25


@pytest.mark.parametrize("option", sorted(set(mentioned()) - set(OTHERS)))
def test_an_option_that_a_message_names_is_one_and_has_its_names(option: str) -> None:
    assert option in real()
    assert SHORT.get(option, option) in OPTIONS


def test_short_options_are_those_of_the_command_line() -> None:
    found: dict[str, str] = {}
    for name in ("run", "serve"):
        for parameter in commands()[name].params:
            short = [option for option in parameter.opts if re.fullmatch("-[a-z]", option)]
            found |= dict.fromkeys(short, next((option for option in parameter.opts if option.startswith("--")), ""))
    assert {option: found[option] for option in SHORT} == SHORT


def parameters(*calls: Callable[..., Any]) -> set[str]:
    return {name for call in calls for name in inspect.signature(call).parameters}


PYTHON = parameters(
    Runner, Which.MultimodalPlain, Which.Plain, ChatCompletionRequest, __import__("mistralrs").MultimodalAutoMapParams
)
PYTHON |= {f"MediaPolicy.{name}" for name in MediaPolicy.__dataclass_fields__}
PYTHON |= {f"{kind}s=[…]" for kind in PART_OPTIONS} | {name for names in PART_OPTIONS.values() for name in names}
HTTP = {*ChatRequest.model_fields, "messages"} | {name for names in PART_OPTIONS.values() for name in names}
HTTP |= {f"{kind}_url" for kind in PART_OPTIONS}
CHAT = {f"/set {key}" for key in SETTINGS} | set(COMMANDS)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_a_name_is_one_of_its_face(option: str) -> None:
    names = OPTIONS[option]
    assert option in real()
    assert names.python in PYTHON | {None}
    assert names.http in HTTP | {None}
    assert names.chat in CHAT | {None}
    assert names.python or option in (*SERVER, *BATCH)


def test_every_setting_of_the_chat_that_is_an_option_is_known() -> None:
    display = {key for key, setting in SETTINGS.items() if setting.home == "display"}
    assert {f"/set {key}" for key in set(SETTINGS) - display} <= {names.chat for names in OPTIONS.values()}


TELLING: Any = SimpleNamespace(name="demo", processor=SimpleNamespace(chat_template="{{ messages }}"))
FAMILY = open_checkpoint(ModelOptions()).family


def forbidden(here: Path) -> None:
    fetch(MediaRef("image", str(here / "a.png")), MediaPolicy(local_roots=(str(here / "b"),)))


def silent(here: Path) -> None:
    decode(MediaBytes("video", "a.wav", (here / "beeps.wav").read_bytes()), MediaPolicy())


def options_of(**given: Any) -> Callable[[Path], object]:
    """A check of options, as it is done before anything is read."""

    def ask(here: Path) -> None:
        check(ModelOptions(**given))
        open_checkpoint(ModelOptions(**given))

    return ask


def raising(error: Exception) -> Callable[[Path], object]:
    def ask(here: Path) -> None:
        raise error

    return ask


REAL: dict[str, Callable[[Path], object]] = {
    "quant": options_of(quant="q9k"),
    "quant and isq": options_of(quant="4", isq="8"),
    "organization alone": options_of(isq_organization="moqe"),
    "layers": options_of(device_layers="x"),
    "memory": options_of(max_memory="x"),
    "topology": options_of(topology="nowhere.yaml"),
    "template": options_of(chat_template="nowhere.json"),
    "jinja": options_of(jinja_explicit="nowhere.jinja"),
    "slice alone": options_of(matformer_slice_name="x"),
    "slice of another model": options_of(matformer_slice_name="x", matformer_config_path="gemma3n.csv"),
    "arch": options_of(arch="Qwen3VL"),
    "no folder": options_of(model_id="./nowhere"),
    "a file": options_of(model_id=__file__),
    "no checkpoint": options_of(model_id=str(PACKAGE)),
    "token": options_of(model_id="a/b", token_source="foo"),
    "token of a variable": options_of(model_id="a/b", token_source="env:NOT_SET_HERE"),
    "temperature": lambda _: check_range("temperature", 500, 0, 100),
    "thinking": lambda _: check_template_inputs(TELLING, Sampling(thinking=True)),
    "effort": lambda _: check_template_inputs(TELLING, Sampling(thinking=True, reasoning_effort="low")),
    "modality": lambda _: require(
        SimpleNamespace(modalities=("image",)),
        "m",
        ["audio"],
    ),
    "too many": lambda _: require(FAMILY, "m", ["image"] * 3, 2),
    "no file": lambda here: fetch(MediaRef("image", str(here / "no where.png")), MediaPolicy()),
    "forbidden": forbidden,
    "another kind": silent,
    "out of memory": raising(translate(MemoryError())),
    "failed": raising(translate(ValueError("x"))),
    "does not fit": raising(OutOfMemory("m does not fit.", "This would fit: --quant 4 or --max-seq-len 1024.")),
}

FOREIGN = {
    "cli": r"enable_thinking|reasoning_effort|in_situ_quant|num_frames|_url\b|/set |docs/|grammar\.value|Runner\(",
    "python": r"(?<![\w-])--?[a-z][a-z-]*(?=[ .,:;)]|$)|/set |/model|_url\b|docs/|MISTRALRS_DEBUG|quote it",
    "http": r"/set |/model\b|in_situ_quant|docs/|MISTRALRS_DEBUG|quote it|=True|\w=\"",
    "chat": r"enable_thinking|in_situ_quant|num_frames|_url\b|docs/|--(?:thinking|max-edge|temperature|image|audio)\b",
}


class Console:
    """A console that remembers errors."""

    def error(self, message: str, hint: str | None = None) -> None:
        self.said = "\n".join(filter(None, (message, hint)))


def said(face: str, error: Exception) -> str:
    """What the user of a face reads."""
    console = Console()
    match face:
        case "cli":
            explain(error, console)  # type: ignore[arg-type]
        case "chat":
            show(error, console)  # type: ignore[arg-type]
        case "http":
            return details(error)[1]
        case _:
            with pytest.raises((ValueError, RuntimeError)) as caught, translated():
                raise error
            return str(caught.value)
    return console.said


@pytest.mark.parametrize("face", FOREIGN)
@pytest.mark.parametrize("name", REAL)
def test_an_error_is_in_the_words_of_the_face_that_shows_it(name: str, face: str, samples: Path) -> None:
    with pytest.raises(MistralrsError) as caught:
        REAL[name](samples)
    shown = said(face, caught.value)
    remark = r" \([^()]* (?:is an option|are options) of mistralrs (?:run|serve)\.\)$"
    words = re.sub(re.escape(str(samples)) + r"\S*", "", re.sub(remark, "", shown))
    if face == "chat" and shown != words:  # of what a chat cannot change, the command line says how
        return
    assert not re.search(FOREIGN[face], words), shown


@pytest.mark.parametrize(
    ("text", "python", "http", "chat"),
    [
        ("Try -m .", 'Try model_id="."', "Try -m . (-m is an option of mistralrs serve.)", "Try /model ."),
        ("--dtype bf17 is none.", 'dtype="bf17" is none.', None, None),
        ("-n 0:3;1:2 places 5.", 'num_device_layers="0:3;1:2" places 5.', None, None),
        ("No such file: photo -m 3.png", *["No such file: photo -m 3.png"] * 3),
        ("Did you mean 'a --quant 4 b.png'?", *["Did you mean 'a --quant 4 b.png'?"] * 3),
        ("Run: pip install --force-reinstall x", *["Run: pip install --force-reinstall x"] * 3),
        ("--top-k 5 is high.", "top_k=5 is high.", "top_k 5 is high.", "/set top_k 5 is high."),
        ("Try --cpu.", "Try cpu=True.", "Try --cpu. (--cpu is an option of mistralrs serve.)", None),
        ("Give it with --audio.", "Give it with audios=[…].", "Give it with audio_url.", "Give it with /audio."),
        ("Add -c x.json and -j", None, "Add -c x.json and -j (-j is an option of mistralrs serve.)", None),
        ('--max-memory "0:1MiB" or more', 'max_memory="0:1MiB" or more', None, None),
        ("tools[0].function.name is 5.", "tool_schemas[0].name is 5.", "tools[0].function.name is 5.", None),
    ],
)  # fmt: skip
def test_names_in_a_sentence(text: str, python: str | None, http: str | None, chat: str | None) -> None:
    for expected, found in ((python, in_python(text)), (http, over_http(text)), (chat, in_chat(text))):
        assert expected in (None, found)
