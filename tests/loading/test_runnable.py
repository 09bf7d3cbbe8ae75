"""What cannot be run is refused before its weights are fetched, by name, with something to type that helps."""

import codecs
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from mistralrs_cli.errors import UnsupportedModel
from mistralrs_cli.loading import load, open_checkpoint
from mistralrs_cli.messages import Message, Text
from mistralrs_cli.options import ModelOptions
from tests.checkpoints.tokens import tokenizer

from .hub import Hub, Repository, serving

CODE = {"AutoConfig": "configuration_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
TOKENIZER = {"tokenizer.json": "{}", "tokenizer_config.json": "{}"}
WEIGHTS = {"model.safetensors": "w" * 1000}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process asks."""
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", hub.address)
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()


def refused(
    hub: Hub, folder: Path, name: str, files: dict[str, Any], base: str | None = None, **more: Any
) -> UnsupportedModel:
    """The refusal of a model on the hub, of which no weight was fetched."""
    hub.repositories[name] = Repository(placed(folder / "hub", files), base=base)
    options = ModelOptions(model_id=name, hf_cache=str(folder / "cache"), token_source="none", **{"cpu": True, **more})
    with pytest.raises(UnsupportedModel) as caught:
        load(open_checkpoint(options), options)
    assert not [file for file in hub.fetched if file.endswith((".safetensors", ".gguf", ".bin"))]
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


def placed(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("name", "config", "says", "cure"),
    [
        (
            "facebook/s2t-small-librispeech-asr",
            {"model_type": "speech_to_text", "architectures": ["Speech2TextForConditionalGeneration"]},
            "writes down speech",
            "Voxtral",
        ),
        (
            "vikhyatk/moondream2",
            {"model_type": "moondream1", "auto_map": CODE},
            "code of its own",
            "--trust-remote-code",
        ),
        ("allenai/Molmo-7B-D-0924", {"model_type": "molmo", "auto_map": CODE}, "code of its own", "allenai/Molmo2-8B"),
        (
            "OpenGVLab/InternVL3-8B",
            {"model_type": "internvl_chat", "auto_map": CODE},
            "own",
            "OpenGVLab/InternVL3-8B-hf",
        ),
        ("OpenGVLab/InternVL3_5-8B", {"model_type": "internvl_chat", "auto_map": CODE}, "own", "InternVL3_5-8B-HF"),
        ("openbmb/MiniCPM-V-4_5", {"model_type": "minicpmv", "auto_map": CODE}, "own", "openbmb/MiniCPM-V-4_6"),
        ("moonshotai/Kimi-VL-A3B", {"model_type": "kimi_vl", "auto_map": CODE}, "own", "--trust-remote-code"),
        ("openbmb/MiniCPM-o-4_5", {"model_type": "minicpmo", "version": "4.5"}, r"MiniCPM-o 4\.5", "MiniCPM-o-2_6"),
        ("BAAI/bge-m3", {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]}, "writes no text", "-m "),
        ("intfloat/e5-mistral", {"model_type": "mistral", "architectures": ["MistralModel"]}, "writes no text", "-m "),
        ("openai/clip-vit-base", {"model_type": "clip", "architectures": ["CLIPModel"]}, "compares images", "-m "),
        ("google/flan-t5", {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "another", "-m "),
        (
            "facebook/bart-large",
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"], "is_encoder_decoder": True},
            "another",
            "-m ",
        ),
        (
            "someone/sentiment",
            {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
            "writes no text",
            "-m ",
        ),
        (
            "florence-community/Florence-2-base",
            {"model_type": "florence2", "vision_config": {}, "is_encoder_decoder": True},
            "no position_ids",
            "For images",
        ),
        ("someone/new", {"model_type": "tomorrow_vl", "vision_config": {}}, "not known to", "For images"),
        ("liuhaotian/llava-v1.5-7b", {"model_type": "llava_llama"}, "not known", "llava-hf/llava-1.5-7b-hf"),
        (
            "mlx-community/Qwen3-VL-4B-Instruct-4bit",
            {"model_type": "qwen3_vl", "quantization": {"group_size": 64, "bits": 4}},
            "MLX",
            "perhaps Qwen3-VL-4B-Instruct",
        ),
        (
            "mlx-community/gemma-3-4b-it-8bit",
            {"model_type": "gemma3", "quantization_config": {"group_size": 64, "bits": 8, "mode": "affine"}},
            "MLX",
            "perhaps gemma-3-4b-it",
        ),
    ],
)
def test_a_model_that_cannot_be_run(
    hub: Hub, tmp_path: Path, name: str, config: dict[str, Any], says: str, cure: str
) -> None:
    error = refused(hub, tmp_path, name, {"config.json": config, **TOKENIZER, **WEIGHTS})
    assert error.message.startswith(name)
    assert re.search(says, error.message), error.message
    assert cure in (error.hint or ""), error.hint


WORDS = tokenizer().backend_tokenizer.to_str()
GGUF = {"Model-Q4_K_M.gguf": "GGUF"}


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("unsloth/Qwen3-VL-4B-Instruct-GGUF", {"config.json": {"model_type": "qwen3_vl"}, **GGUF}, "GGUF"),
        ("ggml-org/gemma-3-4b-it-GGUF", {"README.md": "A model.", **GGUF}, "GGUF"),
        (
            "bartowski/Qwen3-4B-GGUF",
            {"config.json": {"model_type": "qwen3"}, "tokenizer.json": WORDS, **GGUF},
            "GGUF",
        ),
        ("onnx-community/Qwen3-0.6B-ONNX", {"config.json": {"model_type": "qwen3"}, "onnx/model.onnx": "o"}, "ONNX"),
        (
            "someone/my-lora",
            {"adapter_config.json": {"base_model_name_or_path": ""}, "adapter_model.safetensors": "a"},
            "adapter",
        ),
        ("black-forest-labs/FLUX.1-dev", {"model_index.json": {}, "unet/model.safetensors": "u"}, "diffusers"),
        ("litert-community/Gemma3-1B-IT", {"gemma3-1b-it-int4.task": "t"}, "MediaPipe"),
        ("OpenVINO/Qwen3-4B-int4-ov", {"openvino_model.xml": "x", "openvino_model.bin": "b"}, "OpenVINO"),
    ],
)
def test_another_layout_is_named(hub: Hub, tmp_path: Path, name: str, files: dict[str, Any], says: str) -> None:
    """On the hub, where the card may name the original, and in a folder."""
    known = refused(hub, tmp_path, name, files, base="the/original")
    assert says in known.message
    assert "the/original" in (known.hint or "") or "-m " in (known.hint or "")
    options = ModelOptions(model_id=str(placed(tmp_path / name, files)), cpu=True)
    with pytest.raises(UnsupportedModel, match=says) as caught:
        load(open_checkpoint(options), options)
    assert caught.value.hint
    assert "config.json" not in caught.value.hint


def test_an_adapter_names_its_model(tmp_path: Path) -> None:
    placed(tmp_path, {"adapter_config.json": {"base_model_name_or_path": "Qwen/Qwen3-VL-4B-Instruct"}})
    with pytest.raises(UnsupportedModel, match="adapter") as caught:
        open_checkpoint(ModelOptions(model_id=str(tmp_path)))
    assert "-m Qwen/Qwen3-VL-4B-Instruct" in (caught.value.hint or "")


def test_a_card_names_the_original_of_a_folder(tmp_path: Path) -> None:
    placed(tmp_path, {"README.md": "---\nbase_model: some/original\n---\n# Model", **GGUF})
    with pytest.raises(UnsupportedModel, match="GGUF") as caught:
        open_checkpoint(ModelOptions(model_id=str(tmp_path)))
    assert "-m some/original" in (caught.value.hint or "")


def test_pickled_weights_alone_are_refused_before_they_are_fetched(hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": {"model_type": "llama"}, "tokenizer.json": WORDS, "pytorch_model.bin": "p"}
    assert "no safetensors" in refused(hub, tmp_path, "some/pickled", files).message


def test_a_repository_without_its_processor(hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": {"model_type": "gemma3", "vision_config": {}}, **TOKENIZER, **WEIGHTS}
    error = refused(hub, tmp_path, "someone/gemma-3-AWQ", files, base="google/gemma-3-4b-it")
    assert "lacks processor_config.json" in error.message
    assert "google/gemma-3-4b-it" in (error.hint or "")


def test_a_tokenizer_that_needs_a_package(hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": {"model_type": "llama"}, "tokenizer.model": "m", **WEIGHTS}
    error = refused(hub, tmp_path, "someone/old-llama", files)
    assert "sentencepiece" in error.message
    assert "tokenizer.json" in (error.hint or "")


def test_trusted_code_without_a_model_that_writes(hub: Hub, tmp_path: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "modeling_own.Encoder"}}
    error = refused(
        hub, tmp_path, "some/encoder", {"config.json": config, **TOKENIZER, **WEIGHTS}, trust_remote_code=True
    )
    assert "AutoModel" in error.message


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_files_with_a_byte_order_mark(written: Any, tmp_path: Path, mark: bytes) -> None:
    """As PowerShell writes them. The folder stays as it is."""
    shutil.copytree(written("llama"), tmp_path / "copy")
    encoding = "utf-8" if mark == codecs.BOM_UTF8 else "utf-16-le"
    for file in (tmp_path / "copy").glob("*.json"):
        file.write_bytes(mark + file.read_text().encode(encoding))
    options = ModelOptions(model_id=str(tmp_path / "copy"), cpu=True)
    loaded = load(open_checkpoint(options), options)
    message = Message("user", (Text("hi"),))
    assert loaded.family.prepare(loaded.processor, [message]).prompt_tokens > 2
    assert (tmp_path / "copy" / "config.json").read_bytes().startswith(mark)
