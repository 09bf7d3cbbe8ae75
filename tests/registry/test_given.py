"""Models after ``-m``, in ``models.toml``, and how long they stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistralrs_cli.errors import OptionError
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.registry.given import read_models_file, spec_of
from mistralrs_cli.registry.keep_alive import keep_seconds

BASE = ModelOptions(isq="8", max_seqs=16)
FOREVER = float("inf")


def test_a_name_alone_has_the_options_of_all() -> None:
    spec = spec_of("OWNER/NAME", BASE)
    assert (spec.name, spec.options) == ("OWNER/NAME", ModelOptions("OWNER/NAME", isq="8", max_seqs=16))
    assert spec_of("OWNER/NAME@main", BASE).options.model_id == "OWNER/NAME@main"


def test_options_follow_an_at() -> None:
    spec = spec_of("O/N@quant=4,max-seqs=2,cpu,alias=x,alias=y,keep=10m,pinned,name=n,load=yes", BASE)
    assert spec.options == ModelOptions("O/N", quant="4", max_seqs=2, cpu=True)
    assert (spec.names, spec.keep, spec.pinned, spec.load) == (("n", "x", "y"), 600.0, True, True)
    assert spec_of("O/N@dtype=f32,keep=forever", BASE).keep is None


def test_an_at_may_belong_to_the_name(tmp_path: Path) -> None:
    folder = tmp_path / "a@quant=4"
    folder.mkdir()
    assert spec_of(str(folder), BASE).options.model_id == str(folder)
    assert spec_of(f"{folder}@quant=8", BASE).options == ModelOptions(str(folder), quant="8", max_seqs=16)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("M@bits=4", "there is no option bits"),
        ("M@quant=4,isq=4", "exclude each other"),
        ("M@dtype=f99", "dtype is 'f99'"),
        ("M@max_seqs=many", "max_seqs is 'many'"),
        ("M@max_seqs=0", "max_seqs is '0'"),
        ("M@cpu=maybe", "cpu is 'maybe'"),
        ("M@keep=10", "is not a time"),
        ("M@keep=soon", "is not a time"),
        ("M@quant=4,quant=8", "says quant twice"),
        ("M@alias=", "a name is empty"),
        ("M@quant", "quant is True"),
        ("@quant=4", "names no model"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        spec_of(text, BASE)


def test_a_file_holds_models(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    file = tmp_path / "models.toml"
    file.write_text(
        'default = "v"\nmax_models_loaded = 2\nkeep = "1h30m"\n'
        '[models.small]\nmodel = "weights"\naliases = ["gpt-4o-mini"]\npinned = true\n'
        '[models.v]\nmodel = "O/N"\nquant = 4\nkeep = "forever"\nload = true\nmax-seqs = 8\n'
    )
    found = read_models_file(str(file), lambda name: BASE)
    small, other = found.specs
    assert (found.default, found.loaded) == ("v", 2)
    assert (small.names, small.keep, small.pinned) == (("small", "gpt-4o-mini"), 5400.0, True)
    assert small.options == ModelOptions(str(tmp_path / "weights"), isq="8", max_seqs=16)
    assert (other.name, other.keep, other.load) == ("v", None, True)
    assert other.options == ModelOptions("O/N", quant="4", max_seqs=8)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no model"),
        ("models = 3", "names no model"),
        ("a b", "is not TOML"),
        ("speed = 3\n[models.a]\nmodel = 'x'", "there is no key speed"),
        ("[models.a]\nquant = 4", "has no model"),
        ("[models.a]\nmodel = 'x'\nbits = 4", "there is no option bits"),
        ("[models.a]\nmodel = 'x'\ncpu = 'yes'", "cpu is 'yes'"),
        ("[models.a]\nmodel = 'x'\nmax_seqs = true", "max_seqs is True"),
        ("[models.a]\nmodel = true", "model_id is True"),
        ("default = 3\n[models.a]\nmodel = 'x'", "not a name"),
        ("max_models_loaded = 0\n[models.a]\nmodel = 'x'", "not a number above 0"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(OptionError, match=says):
        read_models_file(str(file), lambda name: BASE)
    with pytest.raises(OptionError, match="cannot be read"):
        read_models_file(str(tmp_path / "none.toml"), lambda name: BASE)


def test_the_name_that_was_meant_is_suggested(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    for text, hint in (
        ("[models.a]\nmodel = 'x'\nquan = 4", "Did you mean quant?"),
        ("defualt = 'a'\n[models.a]\nmodel = 'x'", "Did you mean default?"),
    ):
        file.write_text(text)
        with pytest.raises(OptionError) as refused:
            read_models_file(str(file), lambda name: BASE)
        assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("5m", 300), ("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("0", 0), (0, 0)),
        *((3600, 3600), (1.5, 1.5), ("10", 10), (-1, FOREVER), ("-1", FOREVER), ("-1m", FOREVER), ("forever", FOREVER)),
    ],
)
def test_times_are_ollamas(value: str | float, seconds: float) -> None:
    assert keep_seconds(value, "keep_alive") == seconds


@pytest.mark.parametrize("value", ["", "soon", "5 minutes", "1m2", "nan", True, float("nan")])
def test_what_is_no_time_is_refused(value: str | float) -> None:
    with pytest.raises(OptionError, match="not a time"):
        keep_seconds(value, "keep_alive")
