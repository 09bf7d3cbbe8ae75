"""Every ``mistralrs`` command of the pages runs on a terminal, with tiny models behind the names of large ones.

What else is changed: ``--cpu`` is added, the port is a free one, and what lies at example.com lies on loopback.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mistralrs_cli.conversation import Conversation
from mistralrs_cli.conversation.store import Store
from mistralrs_cli.media import ffmpeg
from tests.checkpoints.fixtures import Written
from tests.docs.commands import Block, Shell, blocks, lines, program
from tests.docs.hub import provide
from tests.docs.reader import KEY, ONLY_PARSED, Reader
from tests.docs.terminal import Terminal, cursor_shown, screen
from tests.media.pdf import document

pytestmark = pytest.mark.slow

FORMS = {
    "run -m --image -i",
    "run -m --quant --image -i",
    "run -m --quant --video -i",
    "run -m --video -i",
    "run -m --video --video -i",
    "run -m --matformer-config-path --matformer-slice-name",
    "run -m --quant -c --image -i",
    "run -m --isq --isq-organization --image -i",
    "serve -m --quant -p",
    "serve -p --quant --jinja-explicit -m",
    "serve vision -p -m",
}
"""What who comes from mistral.rs has typed so far."""

DOCUMENTED = (
    'mistralrs run -m Qwen/Qwen3-VL-4B-Instruct --image photo.jpg -i "What is this?"',
    'mistralrs run -m Qwen/Qwen3-VL-4B-Instruct --quant 4 --image photo.jpg -i "Describe this image"',
    "mistralrs serve -m Qwen/Qwen3-VL-4B-Instruct --quant 4 -p 1234",
    'mistralrs run -m google/gemma-4-E4B-it --quant 8 --video clip.mp4 -i "Summarize this clip."',
    "mistralrs run -m google/gemma-3n-E4B-it --matformer-config-path matformer_configs/gemma3n.csv "
    '--matformer-slice-name "Config for E2.49B (block-level)"',
    "mistralrs serve -p 1234 --quant 4 --jinja-explicit chat_templates/mistral_small_tool_call.jinja "
    "-m mistralai/Mistral-Small-3.2-24B-Instruct-2506",
    "mistralrs run -m llava-hf/llava-v1.6-vicuna-7b-hf --quant 4 -c ./chat_templates/vicuna.json --image photo.jpg "
    '-i "Describe this image"',
    "mistralrs run -m Qwen/Qwen3-VL-235B-A22B-Instruct --isq 4 --isq-organization moqe --image photo.jpg "
    '-i "Describe this image"',
    'mistralrs run -m google/gemma-4-E4B-it --video clip.mp4 -i "What happens in this video?"',
    'mistralrs run -m google/gemma-4-E4B-it --video https://example.com/clip.mp4 -i "Summarize this video"',
    'mistralrs run -m google/gemma-4-E4B-it --video clip1.mp4 --video clip2.mp4 -i "Compare these two videos"',
    "mistralrs serve vision -p 1234 -m microsoft/Phi-4-multimodal-instruct",
)
"""Every command of the documents of mistral.rs that are to work as written."""

SHOWN = {tuple(shlex.split(line, comments=True)) for block in blocks() for line in block.lines}

DOING = "Loading|Opening|Quantizing|Decoding|Reading|Transcribing|Waiting"
PROGRESS = re.compile(rf"[\u2800-\u28ff] |({DOING}) .*(…|\d:\d\d:\d\d)$")
"""A line that tells of something that goes on."""

FILES = {
    "photo.jpg": "photo.jpg",
    "receipt.jpg": "photo.jpg",
    "plan.png": "shapes.png",
    "chart.png": "chart.png",
    "before.png": "before.png",
    "after.png": "after.png",
    "commentary.wav": "commentary.wav",
    "talk.wav": "digits.wav",
    "talk.mp3": "beeps.mp3",
    "pictures/photo.jpg": "photo.jpg",
    "photos/photo.jpg": "photo.jpg",
    "before/door.png": "before.png",
    "after/door.png": "after.png",
}
CLIPS = ("clip.mp4", "clip1.mp4", "clip2.mp4")
SCHEMA = (
    '{"type": "object", "properties": {"total": {"enum": [3]}}, "required": ["total"], "additionalProperties": false}'
)
"""Random models would go on and on with any number, and with further keys."""
CHAT = [{"role": "user", "content": "When do they leave?"}, {"role": "assistant", "content": "At noon, all three."}]
KEPT = "20260314-091502-c0de"
MODEL = re.compile(r"[\w.-]+/[\w.-]+")


@pytest.fixture(scope="session")
def short_clip(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the sample."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    command = [ffmpeg.executable(), "-v", "error", "-i", str(samples / "clip.mp4"), "-frames:v", "2", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def here(tmp_path: Path, root: Path, samples: Path, short_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are typed in, with all the files that the pages name, and a home with one kept chat."""
    home, here = tmp_path / "home", tmp_path / "here"
    (home / ".config" / "fish" / "completions").mkdir(parents=True)
    here.mkdir()
    for name, sample in FILES.items():
        (here / name).parent.mkdir(exist_ok=True)
        shutil.copy(samples / sample, here / name)
    for name in CLIPS:
        shutil.copy(short_clip, here / name)
    (here / "examples").symlink_to(root / "examples")
    (here / "schema.json").write_text(SCHEMA)
    (here / "questions.csv").write_text("prompt,image\nWhat is this?,photo.jpg\n")
    (here / "keys.txt").write_text(KEY)
    (here / "report.pdf").write_bytes(document(7))
    (here / "notes.txt").write_text("Three trains leave the station at noon. " * 40)
    (here / "chats.jsonl").write_text(f"{json.dumps({'messages': CHAT})}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{shlex.quote(sys.executable)} -c pass")
    monkeypatch.setenv("MISTRALRS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MISTRALRS_CACHE", str(tmp_path / "cache"))
    Store().save(Conversation(id=KEPT, model={"model_id": "demo", "cpu": True}))
    monkeypatch.chdir(here)
    return here


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models of the hub lie."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
def hub(cache: Path, written: Written, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``hub("google/gemma-4-E4B-it")`` makes a tiny model of that name known."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return lambda name: provide(name, cache, written)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """What was asked for does not matter."""


@pytest.fixture
def web(here: Path) -> Iterator[str]:
    """The folder's files on loopback, in the place of example.com."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=here))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell with a folder of its own."""
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(folder)


def steps(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command, with the requests that follow it."""
    following: list[str] = []
    for line in reversed(block.lines):
        if program(line) == "curl":
            following.insert(0, line)
        else:
            yield line, following
            following = []


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_the_page_can_be_followed(
    block: Block,
    here: Path,
    web: str,
    hub: Callable[[str], None],
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for line, requests in reversed([*steps(block)]):
        follow(line.replace("https://example.com/", web), requests, hub, shell, monkeypatch)


@pytest.mark.parametrize("line", [line for line in DOCUMENTED if tuple(shlex.split(line)) not in SHOWN])
def test_what_the_documents_of_mistral_rs_say_is_done(
    line: str, here: Path, web: str, hub: Callable[[str], None], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(line.replace("https://example.com/", web), [], hub, shell, monkeypatch)


def follow(
    line: str, requests: Sequence[str], hub: Callable[[str], None], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carry out a command on a terminal: it succeeds, shows what goes on, and leaves nothing of that behind."""
    call = shell.call(line)
    for option, value in zip(call.words, call.words[1:], strict=False):
        name = value.partition("@")[0]  # options of one model follow its name
        if option in ("-m", "--model-id") and MODEL.fullmatch(name) and not Path(name).exists():
            hub(name)
    with Terminal() as terminal:
        with monkeypatch.context() as patch:
            code = Reader(patch, terminal).perform(call, requests, shell)
        text = terminal.text
    left = screen(text)
    assert (code, [said for said in left if said.startswith("error:")]) == (0, []), f"{line}\n{text}"
    assert cursor_shown(text)
    assert not [said for said in left if PROGRESS.match(said)], f"{line}\n{text}"
    if (
        "--quiet" not in call.words
        and "-q" not in call.words
        and "--ui" not in call.words
        and call.words[0] in ("run", "serve", "quantize", "bench")
    ):
        assert re.search("Loading |Opening |Reading ", text), f"{line}\n{text}"


def form(words: Sequence[str]) -> str:
    """``run -m M --image a.jpg -i "…"`` → ``run -m --image -i``."""
    first = [words[0], *(word for word in words[1:2] if word == "vision")]
    return " ".join([*first, *(word for word in words if word.startswith("-"))])


def test_whatever_mistral_rs_takes_is_shown(here: Path, shell: Shell) -> None:
    shown = {shell.call(line).words for block in blocks() for line in block.lines if program(line) == "mistralrs"}
    assert FORMS - {form(words) for words in shown} == set()
    assert ONLY_PARSED.keys() <= {words[0] for words in shown}


def test_a_block_is_read_line_by_line() -> None:
    block = "# first\nmistralrs run \\\n  -i 'one\ntwo'  # it's that\n\npip install .\n"
    assert [*lines(block)] == ["mistralrs run \\\n  -i 'one\ntwo'  # it's that", "", "pip install ."]
