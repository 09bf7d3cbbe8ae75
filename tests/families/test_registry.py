"""The list of models: what families say of themselves, what ``--arch`` takes, and the page made from both."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mistralrs_cli.cli.app import main
from mistralrs_cli.errors import OptionError, UnsupportedModel
from mistralrs_cli.families import family_for
from mistralrs_cli.families.registry import architectures, listed, require_architecture
from mistralrs_cli.loading import LoadedModel, open_checkpoint
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.builders import BUILDERS
from tools.models_page import PAGE, page

pytestmark = pytest.mark.slow

TEXT = {"llama"}


@pytest.mark.parametrize("model_type", listed())
def test_every_listed_family_is_proven_on_a_checkpoint(tiny: Callable[[str], LoadedModel], model_type: str) -> None:
    family = listed()[model_type]
    proven = [tiny(name) for name in BUILDERS if tiny(name).family.config["model_type"] == model_type]
    assert proven, f"tests/checkpoints/builders has nothing for {model_type}"
    assert family.listing is not None
    assert set().union(*(loaded.family.modalities for loaded in proven)) == set(family.listing.reads)


def test_every_proven_family_is_listed() -> None:
    types = {model_type for name in BUILDERS for model_type in listed() if name.startswith(model_type)}
    assert {name for name in BUILDERS if not any(name.startswith(one) for one in types)} == TEXT


def test_the_page_is_made_from_the_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.models_page"


def test_reading_the_list_imports_no_torch(root: Path) -> None:
    code = "import sys; from mistralrs_cli.families.registry import listed; listed(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("model_type", "names"),
    [
        ("qwen2_5_vl", ["Qwen2_5VL", "qwen2_5vl", "qwen2.5-vl", "qwen2_5_vl"]),
        ("llava_next", ["LLaVANext", "llava_next"]),
        ("mllama", ["VLlama", "vllama", "mllama"]),
        ("smolvlm", ["Idefics3", "smolvlm"]),
        ("llama", ["llama", "LLAMA"]),
        ("kimi-vl", ["kimi_vl"]),
    ],
)
def test_names_of_an_architecture(model_type: str, names: list[str]) -> None:
    config = {"model_type": model_type}
    for name in names:
        require_architecture("my/model", config, family_for(config), name)


def test_another_architecture_is_refused_by_name() -> None:
    config = {"model_type": "llava"}
    with pytest.raises(UnsupportedModel) as caught:
        require_architecture("my/model", config, family_for(config), "qwen3vl")
    assert caught.value.message == "my/model is LLaVA, not Qwen3VL."
    assert caught.value.hint == "Leave out --arch, which only checks, or say --arch LLaVA"
    with pytest.raises(UnsupportedModel, match=r"is LLaVA, not bert\.$"):
        require_architecture("my/model", config, family_for(config), "bert")
    for wrong, guess in {"Quen": "", "Gemma5": "Did you mean Gemma4? "}.items():
        with pytest.raises(OptionError, match=rf"^There is no architecture {wrong}\.$") as refused:
            require_architecture("my/model", config, family_for(config), wrong)
        assert str(refused.value.hint).startswith(f"{guess}Multimodal ones are called Gemma3, ")


def test_the_command_line_refuses_it_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava", "vision_config": {}}))
    assert main(["run", "-a", "Gemma3", "-m", str(tmp_path), "-i", "hello"]) == 3
    assert "is LLaVA, not Gemma3." in capsys.readouterr().err
    assert open_checkpoint(ModelOptions(model_id=str(tmp_path), arch="llava")).family.name == "LLaVA 1.5"


def test_the_names_of_the_documents_are_all_there() -> None:
    assert set(architectures()) >= {
        "Gemma3", "Gemma3n", "Gemma4", "Idefics2", "Idefics3", "LLaVA", "LLaVANext", "Lfm2Vl", "Llama4", "MiniCpmO",
        "Mistral3", "Phi3V", "Phi4MM", "Qwen2VL", "Qwen2_5VL", "Qwen3VL", "Qwen3VLMoE", "Qwen3_5", "Qwen3_5Moe",
        "VLlama", "Voxtral",
    }  # fmt: skip
