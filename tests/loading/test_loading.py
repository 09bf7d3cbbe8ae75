"""The loading recipe on tiny checkpoints: precision, quantization, templates, damaged files."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from transformers import BloomConfig, LlavaConfig, PretrainedConfig

from mistralrs_cli.engine import Engine
from mistralrs_cli.engine.runner.prefill import prefill
from mistralrs_cli.errors import MistralrsError, ModelError, OptionError, UnsupportedModel
from mistralrs_cli.loading import LoadedModel, check, load, load_processor, open_checkpoint
from mistralrs_cli.loading.model import clear_attention
from mistralrs_cli.loading.translation import mapped_error
from mistralrs_cli.messages import Media, Message, Text
from mistralrs_cli.options import ModelOptions, Sampling
from tests.checkpoints.builders import build
from tests.checkpoints.media import picture
from tests.checkpoints.tokens import tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gemma4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("gemma4", tmp_path_factory.mktemp("gemma4"))


def loaded(folder: Path, **more: Any) -> LoadedModel:
    options = ModelOptions(model_id=str(folder), cpu=True, **more)
    return load(open_checkpoint(options), options)


def answer(model: LoadedModel, *parts: Media | str) -> str:
    with Engine(model) as engine:
        message = Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))
        return engine.generate([message], Sampling(max_tokens=12, temperature=0.0, ignore_eos=True)).text


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", torch.float32), ("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)],
)
def test_precision(gemma4: Path, dtype: str, expected: torch.dtype) -> None:
    assert loaded(gemma4, dtype=dtype).model.dtype == expected


def test_a_quantized_model_answers_about_a_picture(gemma4: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert answer(loaded(gemma4, isq="8", dtype="f32"), picture(), "what")
    assert answer(loaded(gemma4, isq="4", dtype="f32"), picture(), "what")
    assert not [record for record in caplog.records if record.name.startswith("bitsandbytes")]


def test_quant_and_isq_exclude_each_other() -> None:
    with pytest.raises(OptionError, match="exclude"):
        check(ModelOptions(quant="4", isq="4"))


def test_the_tokenizer_of_another_checkpoint_is_used(gemma4: Path, tmp_path: Path) -> None:
    tokenizer(["<another>"]).save_pretrained(tmp_path)
    options = ModelOptions(model_id=str(gemma4), tok_model_id=str(tmp_path))
    assert "<another>" in load_processor(open_checkpoint(options), options).tokenizer.get_vocab()
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UnsupportedModel, match=r"has no tokenizer\.json"):
        load_processor(open_checkpoint(options), options)


def test_of_the_checkpoints_templates_the_processors_own_comes_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Then ``chat_template.jinja``, then the tokenizer's; what the user names beats them all."""
    folder = build("llava", tmp_path_factory.mktemp("llava"))

    def write(name: str, **settings: str) -> None:
        file = folder / name
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | settings))

    def used(**more: Any) -> str:
        options = ModelOptions(model_id=str(folder), **more)
        return str(load_processor(open_checkpoint(options), options).chat_template)

    write("tokenizer_config.json", chat_template="of the tokenizer")
    (folder / "chat_template.jinja").write_text("in a file")
    write("processor_config.json", chat_template="of the processor")
    assert used() == "of the processor"
    write("processor_config.json", chat_template="")
    assert used() == "in a file"
    (folder / "chat_template.jinja").unlink()
    assert used() == "of the tokenizer"
    assert "ASSISTANT" in used(chat_template="vicuna.json")


def test_a_template_may_tell_the_day(gemma4: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{{ strftime_now('in %Y') }}{% for m in messages %}{{ m.content[0].text }}{% endfor %}")
    options = ModelOptions(model_id=str(gemma4), jinja_explicit=str(file))
    checkpoint = open_checkpoint(options)
    processor = load_processor(checkpoint, options)
    ids = checkpoint.family.prepare(processor, [Message("user", (Text("!"),))]).inputs["input_ids"][0]
    assert re.fullmatch(r"in 20\d\d!", processor.tokenizer.decode(ids))


def test_a_template_of_the_users_choice_is_used(gemma4: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text(
        "{{ bos_token }}ODD{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"
    )
    options = ModelOptions(model_id=str(gemma4), jinja_explicit=str(file))
    checkpoint = open_checkpoint(options)
    processor = load_processor(checkpoint, options)
    ids = checkpoint.family.prepare(processor, [Message("user", (Text("hi"),))]).inputs["input_ids"][0]
    assert processor.tokenizer.decode(ids) == "<bos>ODDhi"


def test_a_template_that_refuses_the_conversation_says_so(gemma4: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{{ raise_exception('only alternating roles') }}")
    options = ModelOptions(model_id=str(gemma4), jinja_explicit=str(file))
    checkpoint = open_checkpoint(options)
    with pytest.raises(MistralrsError, match="only alternating roles"):
        checkpoint.family.prepare(load_processor(checkpoint, options), [Message("user", (Text("hi"),))])


def test_no_part_of_a_configuration_keeps_its_wish_for_an_attention() -> None:
    """Nor one that code of the checkpoint's own builds without declaring it."""
    request: dict[str, Any] = {"attn_implementation": "flash_attention_2"}
    config = PretrainedConfig(**request)
    config.llm_config = LlavaConfig(text_config={"model_type": "llama", **request}, **request)
    clear_attention(config)
    parts = config, config.llm_config, config.llm_config.text_config
    assert [part._attn_implementation for part in parts] == [None] * 3


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def damaged(folder: Path, copy: Path, harm: Callable[[Path], object]) -> Path:
    shutil.copytree(folder, copy)
    harm(copy)
    return copy


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def widen(folder: Path) -> None:
    text = json.loads((folder / "config.json").read_text())["text_config"]
    edit_config(folder, text_config=text | {"hidden_size": 2 * text["hidden_size"]})


AGAIN = "Download the checkpoint again."


@pytest.mark.parametrize(
    ("harm", "says", "advises"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no safetensors", "safetensors release"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      "), "lack", "again"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "is damaged", AGAIN),
        (
            lambda folder: cut_short(folder / "model.safetensors"),
            r"^model\.safetensors is cut short: its last 1",
            AGAIN,
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "its tokenizer.json is not valid JSON", AGAIN),
        (
            lambda folder: (folder / "tokenizer_config.json").write_bytes(b'{"a": "\xe9"}'),
            "tokenizer_config.json",
            AGAIN,
        ),
        (lambda folder: (folder / "processor_config.json").write_text("{"), "its processor_config.json is", AGAIN),
        (
            lambda folder: (folder / "processor_config.json").unlink(),
            "nothing says how its media are",
            "original model",
        ),
        (widen, "have other shapes than its config.json says", AGAIN),
        (lambda folder: edit_config(folder, text_config="x"), "does not take: text_config", AGAIN),
        (
            lambda folder: edit_config(folder, model_type="no_such"),
            "architecture no_such is not known to transformers",
            "For images, try -m",
        ),
        (
            lambda folder: edit_config(folder, model_type="bert"),
            "fills gaps in a text or makes embeddings, and answers no",
            "-m",
        ),
        (lambda folder: (folder / "generation_config.json").write_text("[]"), "unexpected TypeError: ", "report it"),
    ],
)
def test_damaged_checkpoints_are_refused(
    gemma4: Path, tmp_path: Path, harm: Callable[[Path], object], says: str, advises: str
) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        loaded(damaged(gemma4, tmp_path / "copy", harm))
    assert "\n" not in caught.value.message
    assert advises in str(caught.value.hint)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("error", "says", "advises"),
    [
        (TypeError("cannot pickle '_io.TextIOWrapper' object"), "unexpected TypeError", "report it"),
        (AttributeError("no such thing"), "unexpected AttributeError", "report it"),
        (SafetensorError("Error while deserializing header: HeaderTooLarge"), "a weight file is damaged", AGAIN),
        (OSError(5, "Input/output error"), "M cannot be read: Input/output error.", "disk"),
        (OSError("Can't load tokenizer for 'M' … a file named tokenizer.json"), "lacks tokenizer.json", AGAIN),
        (ModuleNotFoundError("No module named 'flash_attn'"), "not installed: flash_attn", "pip install flash_attn"),
        (ImportError("\nX requires the timm library but it was not found"), "not installed: timm", "pip install timm"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "does not fit in memory", "--quant 4"),
        (MemoryError(), "does not fit in memory", "--quant 4"),
        (ValueError("The repository M contains custom code"), "needs Python code", "--trust-remote-code"),
    ],
)
def test_files_are_blamed_only_where_they_are_at_fault(error: Exception, says: str, advises: str) -> None:
    found = mapped_error("M", error)
    assert says in found.message
    assert advises in str(found.hint)
    assert ("again" in str(found.hint)) == (advises == AGAIN)


def test_the_checkpoints_own_sampling_is_kept_as_advice(gemma4: Path, tmp_path: Path) -> None:
    def advise(folder: Path) -> None:
        file = folder / "generation_config.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps(known | {"do_sample": True, "temperature": 0.3, "top_k": 7, "top_p": 0.9}))

    model = loaded(damaged(gemma4, tmp_path / "copy", advise))
    assert model.sampling == {"do_sample": True, "temperature": 0.3, "top_k": 7, "top_p": 0.9}
    assert model.model.generation_config.do_sample is False
    assert model.end_tokens == {1}


def test_sampling_that_is_not_supported_is_noted(
    gemma4: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def advise(folder: Path) -> None:
        file = folder / "generation_config.json"
        asked = {"do_sample": True, "typical_p": 0.9, "epsilon_cutoff": 0.0}
        file.write_text(json.dumps(json.loads(file.read_text()) | asked))

    model = loaded(damaged(gemma4, tmp_path / "copy", advise))
    assert model.notes == ("its generation_config.json asks for typical_p 0.9: not supported here, not applied",)
    caplog.clear()
    assert answer(model, "hello")
    assert not caplog.records


@pytest.mark.parametrize(
    "setting",
    [
        {"num_beams": 3},
        {"stop_strings": ["e"]},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"max_length": 20},
        {"guidance_scale": 1.5},
    ],
)
def test_settings_of_another_loop_change_nothing(
    gemma4: Path, tmp_path: Path, setting: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    def configure(folder: Path) -> None:
        file = folder / "generation_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | setting))

    model = loaded(damaged(gemma4, tmp_path / "copy", configure))
    caplog.clear()
    assert answer(model, "hello") == answer(loaded(gemma4), "hello")
    inputs = model.family.prepare(model.processor, [Message("user", (Text("hi"),))]).inputs
    row, _ = prefill(model.model, inputs)
    assert row.cache is not None
    assert row.cache.batchable
    assert not caplog.records


def test_a_context_length_left_out_is_the_default_of_its_class(gemma4: Path, tmp_path: Path) -> None:
    def leave_out(folder: Path) -> None:
        file = folder / "config.json"
        config = json.loads(file.read_text())
        del config["text_config"]["max_position_embeddings"]
        file.write_text(json.dumps(config))

    assert loaded(damaged(gemma4, tmp_path / "copy", leave_out)).context_length == 131_072


def test_a_model_without_positions_is_refused_when_it_loads(gemma4: Path, tmp_path: Path) -> None:
    from transformers import BloomForCausalLM  # once torchvision can be imported

    tiny = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2))
    folder = damaged(gemma4, tmp_path / "copy", lambda folder: tiny.save_pretrained(folder))
    with pytest.raises(UnsupportedModel, match="takes no position_ids"):
        loaded(folder)


def test_remote_code_is_never_run_unasked(gemma4: Path, tmp_path: Path) -> None:
    def booby_trap(folder: Path) -> None:
        (folder / "evil.py").write_text("raise SystemExit('ran')")
        file = folder / "config.json"
        config = json.loads(file.read_text())
        file.write_text(json.dumps(config | {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}))

    with pytest.raises(UnsupportedModel):
        loaded(damaged(gemma4, tmp_path / "copy", booby_trap))


def test_a_folder_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer_config.json").write_text("{}")
    options = ModelOptions(model_id=str(tmp_path))
    with pytest.raises(UnsupportedModel, match="holds no tokenizer"):
        load(open_checkpoint(options), options)
