"""The order of media, before any parser sees the command line."""

import shlex

import pytest

from mistralrs_cli.cli.argv import arrange, command_first
from mistralrs_cli.errors import OptionError

VALUES = (
    "-i",
    "--input",
    "-m",
    "--model-id",
    "--image",
    "--audio",
    "--video",
    "--file",
    "--stop",
    "--seed",
    "--resume",
)
OPTIONS = {**dict.fromkeys(VALUES, True), **dict.fromkeys(["-v", "--verbose", "--json"], False)}


@pytest.mark.parametrize(
    ("line", "words", "media"),
    [
        ("--image a.jpg -i hi", "--image a.jpg -i hi", ["image a.jpg"]),
        ("--image a b c -i hi", "--image a --image b --image c -i hi", ["image a", "image b", "image c"]),
        ("--image a --audio b --image c", "--image a --audio b --image c", ["image a", "audio b", "image c"]),
        ("--video=x --image=y", "--video x --image y", ["video x", "image y"]),
        ("--image=a=b", "--image a=b", ["image a=b"]),
        ("--file a b --image c", "--file a --file b --image c", ["file a", "file b", "image c"]),
        ("--image - -i hi", "--image - -i hi", ["image -"]),
        ("--image -5.jpg -i hi", "--image -5.jpg -i hi", ["image -5.jpg"]),
        ("--image a -5.jpg --json", "--image a --image -5.jpg --json", ["image a", "image -5.jpg"]),
        ("--image a vision -m M", "--image a vision -m M", ["image a"]),
        ("--image vision -m M", "--image vision -m M", ["image vision"]),
        ("vision --image a -m M", "vision --image a -m M", ["image a"]),
        ("-i --image --audio b", "-i --image --audio b", ["audio b"]),
        ("--input=--image --audio b", "--input=--image --audio b", ["audio b"]),
        ("-vi --image --audio b", "-vi --image --audio b", ["audio b"]),
        ("-ihi --image b", "-ihi --image b", ["image b"]),
        ("--stop --image --image a", "--stop --image --image a", ["image a"]),
        ("--image a --imput x", "--image a --imput x", ["image a"]),
        ("--image 'a b.jpg' --json", "--image 'a b.jpg' --json", ["image a b.jpg"]),
        ("--image a -- --image b", "--image a -- --image b", ["image a"]),
        ("--image data:image/png;base64,AA== -i x", "--image data:image/png;base64,AA== -i x", None),
        ("--thinking -i x", "--thinking=true -i x", []),
        ("--thinking false -i x", "--thinking=false -i x", []),
        ("--thinking=false -i x", "--thinking=false -i x", []),
        ("-i --thinking", "-i --thinking", []),
        ("--image a --thinking", "--image a --thinking=true", ["image a"]),
        ("--resume", "--resume=", []),
        ("--resume -m M --plain", "--resume= -m M --plain", []),
        ("--resume vision --image a", "--resume= vision --image a", ["image a"]),
        ("--resume 2026 -m M", "--resume 2026 -m M", []),
        ("-i --resume", "-i --resume", []),
        ("", "", []),
        ("-i", "-i", []),
    ],
)
def test_media_are_spread_and_keep_their_order(line: str, words: str, media: list[str] | None) -> None:
    arranged = arrange(shlex.split(line), OPTIONS)
    assert arranged.words == shlex.split(words)
    if media is not None:
        assert [f"{kind} {source}" for kind, source in arranged.media] == media


@pytest.mark.parametrize(
    "line", ["--image", "--image -i hi", "--image --audio b", "--audio=", "--video --", "--image -m"]
)
def test_a_media_flag_without_a_medium_says_so(line: str) -> None:
    with pytest.raises(OptionError, match="needs a file or an address"):
        arrange(shlex.split(line), OPTIONS)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run -i x", "run -i x"),
        ("-v run -i x", "run -v -i x"),
        ("--seed 3 -v run -i x", "run --seed 3 -v -i x"),
        ("--seed=3 run -i x", "run --seed=3 -i x"),
        ("-v", "-v"),
        ("--seed", "--seed"),
        ("-v --version", "-v --version"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_options_before_the_command_move_behind_it(line: str, words: str) -> None:
    assert command_first(shlex.split(line)) == shlex.split(words)
