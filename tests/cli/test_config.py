"""Options that the command line does not give: from the environment and ``config.toml``, and what is wrong there."""

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.main import get_command

from mistralrs_cli.cli.app import main
from mistralrs_cli.cli.checkup import configuration
from mistralrs_cli.cli.commands import app
from mistralrs_cli.cli.config_file import config_path
from mistralrs_cli.cli.config_names import COMMANDS
from mistralrs_cli.cli.front import parse
from mistralrs_cli.options import AttachOptions, ModelOptions, Sampling
from tests.fake_model import FakeModels

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the file, and a clean environment."""
    for name in ("OMP_NUM_THREADS", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MISTRALRS_CONFIG_DIR", str(tmp_path / "configuration"))
    (tmp_path / "configuration").mkdir()
    return tmp_path / "configuration"


def job(text: str, line: str) -> Any:
    """What a command line asks for, with this file."""
    config_path().write_text(text, encoding="utf-8")
    found: Any = parse(shlex.split(line))
    return getattr(found, "job", found)


FILE = """
temperature = 0.5
max-tokens = 100
keep = "10m"
quant = 4
stop = "END"

[run]
max_tokens = 200
json = true
thinking = false

[models."a/b"]
temperature = 0.6
threads = 3

[models."a/b".run]
top_k = 7

[presets.receipts]
system = "You read receipts."
temperature = 0
model_id = "a/b"
input = "What does it cost?"

[presets.receipts.batch]
jobs = 3

[serve]
port = 8080
api_key = ["k1", "k2"]
"""


def test_the_file_gives_what_the_command_line_does_not() -> None:
    found = job(FILE, "run -i x")
    assert found.sampling == Sampling(temperature=0.5, max_tokens=200, stop=("END",), thinking=False)
    assert found.model == ModelOptions(quant="4")
    assert found.attach == AttachOptions(keep=600.0)
    assert found.output.json
    assert not found.named


def test_a_model_has_defaults_of_its_own() -> None:
    found = job(FILE, "run -m a/b -i x")
    assert (found.sampling.temperature, found.sampling.top_k, found.sampling.max_tokens) == (0.6, 7, 200)
    assert found.model == ModelOptions("a/b", quant="4", threads=3)
    assert job(FILE, "run -m c/d -i x").model == ModelOptions("c/d", quant="4")


def test_a_preset_wins_over_its_model_and_may_name_it() -> None:
    found = job(FILE, "run --preset receipts")
    assert (found.input, found.system, found.sampling.temperature) == ("What does it cost?", "You read receipts.", 0)
    assert found.model == ModelOptions("a/b", quant="4", threads=3)
    assert job(FILE, "batch --preset receipts *.jpg -o out.jsonl").rows.jobs == 3


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRALRS_TEMPERATURE", "0.7")
    monkeypatch.setenv("MISTRALRS_MODEL_ID", "a/b")
    monkeypatch.setenv("MISTRALRS_JSON", "0")
    monkeypatch.setenv("MISTRALRS_STOP", "FIN")
    found = job(FILE, "run -i x")
    assert (found.sampling.temperature, found.sampling.top_k, found.sampling.stop) == (0.7, 7, ("FIN",))
    assert found.model.model_id == "a/b"
    assert not found.output.json
    found = job(FILE, "run -i x --temperature 0.8 --stop A --stop B -m c/d --json")
    assert (found.sampling.temperature, found.sampling.top_k, found.sampling.stop) == (0.8, None, ("A", "B"))
    assert found.output.json


def test_variables_of_other_programs_win_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'threads = 3\nhf_cache = "models"\ntoken_source = "none"'
    assert job(text, "run -i x").model == ModelOptions(
        threads=3, hf_cache=str(config_path().parent / "models"), token_source="none"
    )
    for name in ("OMP_NUM_THREADS", "HF_HOME", "HF_TOKEN"):
        monkeypatch.setenv(name, "1")
    assert job(text, "run -i x").model == ModelOptions()


def test_a_flag_can_be_turned_off() -> None:
    assert not job(FILE, "run --json=false -i x").output.json
    assert job(FILE, "run --json=false --json -i x").output.json
    assert not job("", "run --json --json=false -i x").output.json


@pytest.mark.parametrize(
    ("text", "line", "kept"),
    [
        ("quant = 4", "--isq 8", {"quant": None, "isq": "8"}),
        ('keep = "1m"', "--no-attach", {"keep": None}),
        ("no_attach = true", "--keep 1m", {"attach": True}),
        ('quant = 4\nmodel_id = "a/b"', "--server http://host", {"quant": None, "model_id": "demo"}),
        ('regex = "a"', "--json-schema schema.json", {"kind": "json_schema"}),
        ("thinking = false", "--reasoning-effort high", {"thinking": True}),
        ('[run]\nisq = 8\n[models."a/b"]\nquant = 4', "-m a/b", {"quant": "4", "isq": None}),
        ('regex = "a"\n[presets.p]\njson_schema = "schema.json"', "--preset p", {"kind": "json_schema"}),
    ],
)
def test_a_default_never_stands_against_what_is_given(
    text: str, line: str, kept: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "schema.json").write_text('{"type": "object"}')
    monkeypatch.chdir(folder)
    found = job(text, f"run {line} -i x")
    flat = vars(found.model) | vars(found.sampling) | vars(found.attach)
    flat["kind"] = getattr(found.sampling.grammar, "kind", None)
    assert {name: flat[name] for name in kept} == kept


def test_paths_are_those_beside_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (folder / "schema.json").write_text('{"type": "object"}')
    monkeypatch.chdir(tmp_path)
    assert job('json_schema = "schema.json"', "run -i x").sampling.grammar.value == '{"type": "object"}'
    assert job('chat_template = "chatml.json"', "run -i x").model.chat_template == "chatml.json"
    assert job('model_id = "./m"', "run -i x").model.model_id == str(folder / "m")


def test_a_chat_that_goes_on_keeps_its_own_model() -> None:
    text = 'model_id = "a/b"\nquant = 4\nsystem = "S"\nthreads = 2\ntemperature = 0.1'
    found = job(text, "run --continue")
    assert (found.named, found.system, found.model) == (False, None, ModelOptions(threads=2))
    assert found.sampling.temperature == 0.1
    assert job(text, "run --continue -m c/d").model == ModelOptions("c/d", quant="4", threads=2)


def test_every_command_takes_its_own() -> None:
    found = job(FILE, "serve")
    assert (found.server.port, found.server.api_keys) == (8080, ("k1", "k2"))
    assert job(FILE, "serve -p 1 --api-key k").server.api_keys == ("k",)
    several = '[models."a/b"]\nquant = 4'
    assert job(several, "serve -m a/b").served.specs[0].options.quant == "4"
    assert job('language = "de"', "transcribe a.wav").options.language == "de"
    assert tuple(name for name in COMMANDS if name in get_command(app).commands) == COMMANDS  # type: ignore[attr-defined]
    assert {*COMMANDS} == {*get_command(app).commands}  # type: ignore[attr-defined]


def test_each_of_several_models_has_its_table(folder: Path) -> None:
    text = 'dtype = "f32"\nisq = "8"\n[models."a/b"]\nquant = 4\nmax_seqs = 3\n[models.demo]\ncpu = true'
    (folder / "models.toml").write_text('[models.one]\nmodel = "a/b"\nmax-seqs = 5\n[models.two]\nmodel = "demo"')
    for line, expected in (
        ("-m a/b@keep=1m", [ModelOptions("a/b", quant="4", max_seqs=3, dtype="f32")]),
        (
            "-m c/d -m a/b@quant=5,alias=x",
            [ModelOptions("c/d", isq="8", dtype="f32"), ModelOptions("a/b", quant="5", max_seqs=3, dtype="f32")],
        ),
        ("-m a/b -m c/d --max-seqs 2", [ModelOptions("a/b", quant="4", max_seqs=2, dtype="f32"), None]),
        (
            f"--models {folder / 'models.toml'}",
            [
                ModelOptions("a/b", quant="4", max_seqs=5, dtype="f32"),
                ModelOptions("demo", isq="8", cpu=True, dtype="f32"),
            ],
        ),
    ):
        specs = job(text, f"serve {line}").served.specs
        assert len(specs) == len(expected)
        assert all(wanted in (None, spec.options) for spec, wanted in zip(specs, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "line", "said", "advised"),
    [
        ("\nmax_token = 4", "run -i x", "line 2: there is no option max_token.", "Did you mean max_tokens?"),
        ('model = "x"', "run -i x", "line 1: there is no option model.", "Did you mean model_id?"),
        ("temp = 1", "run -i x", "line 1: there is no option temp.", "Did you mean temperature?"),
        ("[serv]\nport = 1", "run -i x", "line 1: there is no table serv.", "Did you mean serve?"),
        ("[run]\nport = 1", "run -i x", "line 2: mistralrs run has no option port.", "[serve]"),
        ('temperature = "hot"', "run -i x", 'line 1: temperature must be a number, not "hot".', "config edit"),
        ("temperature = 400", "run -i x", "temperature must be from 0 to 100, not 400.0.", "config edit"),
        ("max_tokens = 1.5", "run -i x", "max_tokens must be a whole number, not 1.5.", "config edit"),
        ("max_tokens = true", "run -i x", "max_tokens must be a whole number, not true.", "config edit"),
        ("quiet = 1", "run -i x", "quiet must be true or false, without quotation marks, not 1.", "config edit"),
        ('dtype = "f17"', "run -i x", 'dtype must be auto, bf16, f16 or f32, not "f17".', "config edit"),
        ("system = [1]", "run -i x", "system must be a text in quotation marks, not [1].", "config edit"),
        ('[presets]\na = 1', "run -i x", "line 2: a must be a table.", '[presets."a"]'),
        ("models = 1", "run -i x", "line 1: models must be a table.", "[models.NAME]"),
        ('[models."a"]\nmodel_id = "b"', "run -i x", "line 2: this table is for a already.", "Take model_id out"),
        ('[json_schema]\ntype = "object"', "run -i x", "json_schema is an option, and takes no table.", "="),
        ("[presets.a]\nport = 1", "run -i x --preset a", "mistralrs run does not take port", "[presets.a.serve]"),
        ("[presets.abc]", "run -i x --preset abd", "There is no preset abd.", "Did you mean abc?"),
        ("", "run -i x --preset abd", "There is no preset abd.", "[presets.abd]"),
        ('image = "a.png"', "run -i x", "image is given on the command line only.", "Take it out"),
        ('input = "x"', "run", "line 1: a question stands in a preset only.", "[presets.NAME]"),
        ('keep = "ten"', "run -i x", "--keep ten is not a time.", "--keep is set in config.toml, line 1."),
        ("keep = 10m", "run -i x", "is not TOML", "quotation marks"),
        ('quant = "4"\nisq = "4"', "run -i x", "--quant and --isq exclude each other.", "config.toml, line"),
        ('x = """\nport = 1\n"""\nprot = 2', "run -i x", "line 1: there is no option x.", "config edit"),
        ('system = """\nprot = 1\n"""\nsede = 2', "run -i x", "line 4: there is no option sede.", "Did you mean seed?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    text: str, line: str, said: str, advised: str, models: FakeModels, capsys: Captured
) -> None:
    config_path().write_text(text, encoding="utf-8")
    assert main(shlex.split(line), models) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert advised in hint
    assert models.calls == []


def test_tables_of_other_commands_are_left_to_them(models: FakeModels, capsys: Captured) -> None:
    config_path().write_text("port = 1\n[serve]\nnonsense = 1", encoding="utf-8")
    assert main(["run", "-m", "M", "-i", "x"], models) == 0
    assert main(["serve"], models) == 2
    assert "line 3: mistralrs serve has no option nonsense." in capsys.readouterr().err


def test_a_variable_that_is_wrong_is_named(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("MISTRALRS_SEED", "many")
    assert main(["run", "-i", "x"], models) == 2
    assert capsys.readouterr().err.startswith('error: MISTRALRS_SEED must be a whole number, not "many".')
    monkeypatch.setenv("MISTRALRS_SEED", "")
    monkeypatch.setenv("MISTRALRS_QUIET", "perhaps")
    assert main(["run", "-i", "x"], models) == 2
    assert "MISTRALRS_QUIET must be 1 or 0" in capsys.readouterr().err


def test_show_says_where_each_value_comes_from(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    config_path().write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("MISTRALRS_SEED", "4")
    assert main(["config", "show", "--preset", "receipts", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["option"]: (row["value"], row["from"]) for row in found["options"]}
    assert rows["temperature"] == (0.0, "config.toml, line 22")
    assert rows["max_tokens"] == (200, "config.toml, line 9")
    assert rows["seed"] == (4, "MISTRALRS_SEED")
    assert found["presets"] == ["receipts"]
    assert main(["config", "show", "serve"]) == 0
    shown = capsys.readouterr()
    assert "port" in shown.out
    assert "8080" in shown.out
    assert "k1" not in shown.out
    assert main(["config", "show", "--all"]) == 0
    assert "built in" in capsys.readouterr().out
    assert main(["config", "show", "sessions"]) == 2


def test_show_checks_all_of_the_file(capsys: Captured) -> None:
    for text, said in (
        ("[serve]\nnonsense = 1", "mistralrs serve has no option nonsense"),
        ('[presets.p]\njson_schema = "nowhere.json"', "there is no file"),
        ('[models."a/b".sessions.list]\njson = 1', "json must be true or false"),
        ("[presets.p]\nport = 1\nsystem = 'x'", "does not take"),
    ):
        config_path().write_text(text, encoding="utf-8")
        assert main(["config", "show"]) == 2
        assert said in capsys.readouterr().err


def test_a_table_of_no_model_on_this_disk_is_named(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that was mistyped, or one that is not downloaded yet: that is only said."""
    cached = [SimpleNamespace(name="a/modell-4B")]
    monkeypatch.setattr("mistralrs_cli.loading.hub_cache.cached_models", lambda cache=None: cached)
    text = f'[models.demo]\nseed = 1\n[models."{tmp_path}"]\nseed = 1\n[models."a/model-4B"]\nseed = 1\n[models.other]'
    config_path().write_text(text, encoding="utf-8")
    assert main(["config", "show"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "line 5: a/model-4B is no model on this disk; did you mean a/modell-4B?" in err
    assert "line 7: other is no model on this disk" in err
    assert err.count("is no model") == 2
    finding = configuration(lambda file: None)
    assert (finding.state, finding.text.count("is no model")) == ("warn", 2)


def test_edit_makes_the_file_and_checks_it(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text("import sys; open(sys.argv[1], 'a').write('temperatur = 1\\n')")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c pass")
    assert main(["config", "edit"]) == 0
    assert stat.S_IMODE(config_path().stat().st_mode) == 0o600
    assert "is right" in capsys.readouterr().err
    monkeypatch.setenv("EDITOR", f"{sys.executable} {editor}")
    assert main(["config", "edit"]) == 2
    assert "Did you mean temperature?" in capsys.readouterr().err
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{config_path()}\n"


def test_every_example_in_a_new_file_is_right(capsys: Captured, folder: Path) -> None:
    from mistralrs_cli.cli.config import TEMPLATE

    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines()[2:]]
    config_path().write_text("\n".join(lines), encoding="utf-8")
    (folder / "receipt.json").write_text('{"type": "object"}')
    assert main(["config", "show", "--preset", "receipts"]) == 0


@pytest.mark.skipif(sys.platform == "win32" or os.name != "posix", reason="permissions of Unix")
def test_a_secret_that_others_can_read_is_noted(models: FakeModels, capsys: Captured) -> None:
    config_path().write_text('token_source = "literal:hf_x"', encoding="utf-8")
    for mode, noted in ((0o644, True), (0o600, False)):
        config_path().chmod(mode)
        assert main(["run", "-m", "M", "-i", "x"], models) == 0
        shown = capsys.readouterr().err
        assert ("others can read it: chmod 600" in shown) == noted
        assert "hf_x" not in shown


def test_toml_is_read_only_where_there_is_a_file() -> None:
    code = (
        "import sys; from mistralrs_cli.cli.front import parse; parse(['run', '-i', 'x']);"
        "print([name for name in ('tomllib', 'platformdirs', 'pydantic', 'torch') if name in sys.modules])"
    )
    for text, imported in ((None, "[]"), ("keep = '1m'\n[serve]\nport = 1", "['tomllib']")):
        if text is not None:
            config_path().write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == imported
