"""Which files are read as weights, and what is refused instead of misread."""

import json
from pathlib import Path

import pytest

from mistralrs_cli.errors import UnsupportedModel
from mistralrs_cli.loading.weights import weight_files


def names(folder: Path) -> list[str]:
    return [file.name for file in weight_files(folder)]


def fill(folder: Path, *files: str, index: object = None) -> Path:
    for file in files:
        (folder / file).write_bytes(b"x")
    if index is not None:
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_single_file_beside_mistrals_own(tmp_path: Path) -> None:
    assert names(fill(tmp_path, "model.safetensors", "consolidated.safetensors")) == ["model.safetensors"]


def test_the_one_file_is_read_though_an_index_is_left_over(tmp_path: Path) -> None:
    """Transformers reads it, too: what is planned and cut must be what is loaded."""
    stale = {"weight_map": {"a": "model-1.safetensors"}}
    assert names(fill(tmp_path, "model.safetensors", index=stale)) == ["model.safetensors"]
    assert names(fill(tmp_path, "model-1.safetensors")) == ["model.safetensors"]


def test_shards_by_their_index_each_once(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}
    files = ("model-1.safetensors", "model-2.safetensors", "extra.safetensors")
    assert names(fill(tmp_path, *files, index=index)) == ["model-1.safetensors", "model-2.safetensors"]


@pytest.mark.parametrize(
    ("files", "index", "says"),
    [
        ((), None, "no safetensors weights"),
        (("pytorch_model.bin",), None, "no safetensors weights"),
        (("consolidated.safetensors", "params.json"), None, "Mistral's own layout"),
        (("consolidated-00001-of-00002.safetensors",), None, "Mistral's own layout"),
        (("model-1.safetensors",), None, "neither model.safetensors nor an index"),
        (("a.safetensors",), {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}, "lacks 1 of its 2"),
        (("a.safetensors",), {"weight_map": {"x": "../a.safetensors"}}, "names no files of its folder"),
        (("a.safetensors",), {"weight_map": {}}, "names no files of its folder"),
        (("a.safetensors",), {"weight_map": ["a.safetensors"]}, "cannot be read"),
        (("a.safetensors",), [], "cannot be read"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: tuple[str, ...], index: object, says: str) -> None:
    with pytest.raises(UnsupportedModel, match=says) as caught:
        weight_files(fill(tmp_path, *files, index=index))
    assert caught.value.hint
