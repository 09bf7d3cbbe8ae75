"""Quantizing while loading, through the public path."""

import copy
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import nn

from benchmarks.mixture_error import PARTS, SCALED, errors, opened
from mistralrs_cli.errors import OptionError, QuantizationError
from mistralrs_cli.loading import LoadedModel, check, load, open_checkpoint, plan, quantize
from mistralrs_cli.loading.quantization import parse_quantization
from mistralrs_cli.loading.quantization.apply import quantization_for, weight_bytes
from mistralrs_cli.loading.quantization.embeddings import QuantizedEmbedding
from mistralrs_cli.loading.quantization.fastest import eight_bits
from mistralrs_cli.loading.quantization.layers import QuantizedExperts, QuantizedLinear, QuantizedModule
from mistralrs_cli.loading.quantization.types import QuantType
from mistralrs_cli.loading.topology import read_topology
from mistralrs_cli.loading.torchvision import ensure_importable
from mistralrs_cli.options import ModelOptions
from mistralrs_cli.sizes import readable
from tests.checkpoints.builders import build
from tests.loading.mixtures import MIXTURES, save

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny checkpoint on disk: ``folder("gemma4")``."""
    return cache(lambda name: build(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny mixture of experts on disk."""
    return cache(lambda name: save(name, tmp_path_factory.mktemp(name)))


def loaded(folder: Path, **options: str) -> LoadedModel:
    """A checkpoint in float32 on the CPU."""
    chosen = ModelOptions(model_id=str(folder), dtype="f32", cpu=True, **options)  # type: ignore[arg-type]
    return load(open_checkpoint(chosen), chosen)


def quantized(model: nn.Module) -> dict[str, QuantType]:
    """What a model's quantized weights are stored as."""
    return {
        f"{name}.{weight}": quantized.kind
        for name, module in model.named_modules()
        if isinstance(module, QuantizedModule)
        for weight, quantized in module.quantized.items()
    }


def logits(model: nn.Module, seed: int = 0) -> torch.Tensor:
    """What a model makes of some tokens."""
    ids = torch.randint(6, 250, (1, 24), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(((found - wanted).norm() / wanted.norm()).detach())


@pytest.mark.parametrize("family", ["llama", "llava", "gemma4", "qwen3_vl", "qwen3_5"])
def test_only_the_text_decoder_is_quantized(folder: Callable[[str], Path], family: str) -> None:
    found = loaded(folder(family), isq="int8")
    kinds = quantized(found.model)
    embeddings = [name for name in kinds if "embed" in name]
    expected = ["embed_tokens", "embed_tokens_per_layer"] if family == "gemma4" else ["embed_tokens"]
    assert [name.split(".")[-2] for name in embeddings] == expected
    kinds = {name: kind for name, kind in kinds.items() if name not in embeddings}
    linears = [name for name, module in found.model.named_modules() if type(module) is nn.Linear]
    assert len(kinds) > 8
    for name in kinds:
        assert ".layers." in name or name == "lm_head.weight"
        assert not any(tower in name for tower in ("vision", "visual", "audio", "projector", "merger", "embed"))
    if family != "llama":
        assert any("vision" in name or "visual" in name for name in linears)


def test_more_bits_are_nearer(folder: Callable[[str], Path]) -> None:
    wanted = logits(loaded(folder("qwen3_vl")).model)
    errors = [distance(logits(loaded(folder("qwen3_vl"), isq=bits).model), wanted) for bits in ("int2", *"34568")]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A tiny model whose head and embedding are the same matrix, and the folder it is written to."""
    ensure_importable()
    import transformers

    from tests.checkpoints.tokens import template, tokenizer

    tokens = tokenizer()
    tokens.chat_template = template()
    sizes: dict[str, Any] = {
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=320, tie_word_embeddings=True, **sizes)
    model = transformers.LlamaForCausalLM(config).eval()
    folder = tmp_path_factory.mktemp("tied")
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder, model


@pytest.mark.parametrize(
    ("way", "name", "kind"), [("packed", "4", "int8"), ("packed", "q8_0", "q8_0"), (None, "4", "")]
)
def test_a_tied_head_and_its_embedding_are_one_matrix(
    tied: tuple[Path, Any], way: str | None, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of any kernel: rows for the embedding are read from it, and every token is the one it was."""
    folder, model = tied
    if way is not None:
        monkeypatch.setenv("MISTRALRS_KERNELS", way)
    found = loaded(folder, isq=name).model
    assert quantized(found)["lm_head.weight"] == (kind or eight_bits(torch.device("cpu")))
    assert "model.embed_tokens.weight" not in quantized(found), "there is one copy"
    assert found.dtype == torch.float32
    head, embedding = found.get_output_embeddings(), found.get_input_embeddings()
    inputs = torch.randn(3, 128)
    with torch.no_grad():
        assert distance(head(inputs), model.get_output_embeddings()(inputs)) < 0.02
        rows = embedding(torch.arange(320).view(2, -1))
        assert rows.shape == (2, 160, 128)
        assert distance(rows.view(320, 128), model.get_input_embeddings().weight) < 0.01
        assert torch.equal(rows[1, 7], embedding(torch.tensor([167]))[0]), "alone as among others"
        assert torch.equal(embedding.weight[167, :], rows[1, 7])


def test_an_embedding_stays_with_its_head_or_by_topology(tied: tuple[Path, Any], tmp_path: Path) -> None:
    folder, model = tied
    for pattern, own_head in (("embed_tokens", True), ("lm_head", False)):
        (tmp_path / "topology.yml").write_text(f'"/{pattern}/": {{isq: none}}')
        found = loaded(folder, isq="4", topology=str(tmp_path / "topology.yml")).model
        assert torch.equal(found.get_input_embeddings().weight, model.get_input_embeddings().weight)
        assert ("lm_head.weight" in quantized(found)) is own_head
    (tmp_path / "topology.yml").write_text('"/lm_head/": {isq: int4}')
    kinds = quantized(loaded(folder, isq="4", topology=str(tmp_path / "topology.yml")).model)
    assert kinds["lm_head.weight"] is QuantType.INT4
    assert kinds["model.embed_tokens.weight"].bits == 8, "it has its own"
    (tmp_path / "topology.yml").write_text('"/embed_tokens/": {isq: q8_0}')
    assert quantized(loaded(folder, topology=str(tmp_path / "topology.yml")).model) == {"lm_head.weight": "q8_0"}


def test_embeddings_of_every_layer_have_eight_bits(folder: Callable[[str], Path]) -> None:
    """Gemma's, which are scaled; memory is planned for what they take."""
    whole, found = loaded(folder("gemma4")).model, loaded(folder("gemma4"), isq="4").model
    per_layer = found.get_submodule("model.language_model.embed_tokens_per_layer")
    assert isinstance(per_layer, QuantizedEmbedding)
    assert per_layer.quantized["weight"].kind.bits == 8
    ids = torch.arange(30).view(2, 15)
    for name in ("embed_tokens", "embed_tokens_per_layer"):
        one, other = (model.get_submodule(f"model.language_model.{name}")(ids) for model in (found, whole))
        assert distance(one, other) < 0.01
    chosen = ModelOptions(model_id=str(folder("gemma4")), cpu=True, isq="4", dtype="f32")
    planned = plan(open_checkpoint(chosen), chosen)
    assert planned is not None
    assert planned.need.weights == pytest.approx(weight_bytes(found), rel=0.03)


@pytest.mark.parametrize("name", list(MIXTURES))
def test_experts_are_quantized_in_every_layout(mixture: Callable[[str], Path], name: str) -> None:
    from transformers import AutoModelForMultimodalLM

    from mistralrs_cli.loading.quantization.loader import Quantization

    def model(kind: QuantType | None, experts_only: bool) -> nn.Module:
        config = None if kind is None else Quantization(kind, experts_only=experts_only)
        found: nn.Module = AutoModelForMultimodalLM.from_pretrained(
            mixture(name), dtype=torch.float32, quantization_config=config, device_map={"": "cpu"}
        ).eval()
        return found

    full = model(None, False)
    alone, all_ = model(QuantType.INT4, True), model(QuantType.INT4, False)
    for found in (alone, all_):
        experts = [module for module in found.modules() if isinstance(module, QuantizedExperts)]
        assert len(experts) == 2
        assert {quantized.kind for module in experts for quantized in module.quantized.values()} == {QuantType.INT4}
    assert not any(isinstance(module, QuantizedLinear) for module in alone.modules())
    steering = [name for name in quantized(all_) if "router" in name or "gate.weight" in name]
    assert steering == []
    assert weight_bytes(all_) < weight_bytes(alone) < weight_bytes(full)
    fine = model(QuantType.INT8, True)
    wanted = logits(full)
    assert distance(logits(fine), wanted) < distance(logits(model(QuantType.INT2, True)), wanted)


@pytest.mark.parametrize("name", list(MIXTURES))
def test_quantized_experts_compute_what_the_family_does(mixture: Callable[[str], Path], name: str) -> None:
    """A mixture whose experts hold the quantized numbers in full precision gives the same logits."""
    from transformers import AutoModelForMultimodalLM

    from mistralrs_cli.loading.quantization.formats import FORMATS
    from mistralrs_cli.loading.quantization.loader import Quantization

    full = AutoModelForMultimodalLM.from_pretrained(mixture(name), dtype=torch.float32).eval()
    packed = AutoModelForMultimodalLM.from_pretrained(
        mixture(name),
        dtype=torch.float32,
        quantization_config=Quantization(QuantType.INT5, experts_only=True),
        device_map={"": "cpu"},
    ).eval()
    for path, module in packed.named_modules():
        if not isinstance(module, QuantizedExperts):
            continue
        for weight, quantized in module.quantized.items():
            unpack = FORMATS[quantized.kind].unpack
            stack = torch.stack(
                [
                    unpack(module.parts(weight, expert), quantized.rows, quantized.columns, torch.float32)
                    for expert in range(module.num_experts)
                ]
            )
            target = full.get_parameter(f"{path}.{weight}")
            target.data.copy_(stack.transpose(1, 2) if module.transposed else stack)
    assert torch.allclose(logits(full), logits(packed), atol=1e-4)


def test_gemma_4_errs_most_by_queries_and_keys_whose_scores_it_does_not_scale(mixture: Callable[[str], Path]) -> None:
    """As docs/quantization.md explains the error of its mixtures: it is attention, not the experts."""
    full = opened(mixture("gemma4"), None, bits=False)
    attention = opened(mixture("gemma4"), PARTS["queries and keys"], bits=True)
    as_it_is = errors(full, attention, None)[1]
    assert as_it_is > 3 * errors(full, attention, SCALED)[1]


def test_experts_alone_in_a_dense_model_are_refused(folder: Callable[[str], Path]) -> None:
    with pytest.raises(QuantizationError, match="no routed experts"):
        loaded(folder("llama"), isq="4", isq_organization="moqe")
    wanted = ModelOptions(str(folder("llama")), isq="4", isq_organization="moqe")
    with pytest.raises(QuantizationError, match="no routed experts"):
        plan(open_checkpoint(wanted), wanted)


def test_an_organization_needs_a_type() -> None:
    with pytest.raises(OptionError, match="--isq-organization"):
        check(ModelOptions(isq_organization="moqe"))


def test_two_types_are_refused() -> None:
    with pytest.raises(OptionError, match="exclude"):
        check(ModelOptions(quant="4", isq="8"))


def test_a_borrowed_name_gives_a_notice() -> None:
    assert any("q4_0" in notice and "q4k" in notice for notice in check(ModelOptions(isq="q4_0")))
    assert check(ModelOptions(isq="4")) == ()


def test_bytes_before_and_after_are_reported(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """The checkpoint's bytes, not those of a precision to which a CPU widens it."""
    import shutil

    from safetensors.torch import load_file, save_file

    full = loaded(folder("llama"))
    found = loaded(folder("llama"), isq="int8")
    made = [tensor for name, tensor in found.model.named_parameters() if name.endswith("weight_step")]
    now = weight_bytes(found.model) - sum(tensor.nbytes for tensor in made)
    sizes = readable(weight_bytes(full.model)), readable(now)
    assert "{} became {} in memory".format(*sizes) in found.notes[0]
    assert "int8" in found.notes[0]
    assert full.notes == ()
    source = tmp_path / "narrow"
    shutil.copytree(folder("llama"), source)
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    stored = sum(2 * tensor.numel() for tensor in tensors.values())
    assert f": {readable(stored)} became {sizes[1]} in memory" in loaded(source, isq="int8").notes[0]


class Screen:
    """Shows progress, and like a terminal cannot be copied."""

    def __init__(self) -> None:
        self.stream = sys.__stderr__
        self.seen: list[tuple[int, int]] = []

    def show(self, done: int, total: int) -> None:
        self.seen.append((done, total))

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("cannot pickle '_io.TextIOWrapper' object")

    @property
    def is_whole(self) -> bool:
        total = self.seen[0][1]
        return self.seen == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("asked", [{"isq": "8"}, {"quant": "4"}, {"isq": "q4k"}])
def test_progress_is_shown_on_what_cannot_be_copied(folder: Callable[[str], Path], asked: dict[str, str]) -> None:
    screen = Screen()
    options = ModelOptions(model_id=str(folder("llama")), cpu=True, **asked)  # type: ignore[arg-type]
    model = load(open_checkpoint(options), options, screen.show).model
    assert screen.is_whole
    copy.deepcopy((model.config, model.hf_quantizer.quantization_config, model.generation_config))


def test_progress_is_shown_while_a_checkpoint_is_written(folder: Callable[[str], Path], tmp_path: Path) -> None:
    screen = Screen()
    options = ModelOptions(model_id=str(folder("llama")), isq="5", cpu=True)
    quantize(open_checkpoint(options), options, tmp_path / "written", screen.show)
    assert screen.is_whole


def test_what_transformers_copies_holds_values_alone(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Every argument of ``from_pretrained`` with all that a command line can ask for at once."""
    topology = tmp_path / "topology.yaml"
    topology.write_text("0: {isq: 8}\n/down_proj/: {isq: 6}\n")
    options = ModelOptions(model_id=str(folder("llama")), isq="4", cpu=True, topology=str(topology))
    pins = read_topology(str(topology)).pins
    copied = copy.deepcopy(quantization_for(parse_quantization(options), torch.device("cpu"), pins))
    assert copied is not None
    assert [str(pin) for pin in copied.pins] == [str(pin) for pin in pins]
    screen = Screen()
    load(open_checkpoint(options), options, screen.show)
    assert screen.is_whole


@pytest.mark.parametrize("bits", [4, 8])
def test_a_checkpoint_of_bitsandbytes_just_loads(folder: Callable[[str], Path], tmp_path: Path, bits: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    config = BitsAndBytesConfig(**{f"load_in_{bits}bit": True}, bnb_4bit_compute_dtype=torch.float32)
    source = folder("llama")
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=config, device_map={"": "cpu"}).eval()
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path)
    wanted = logits(model)
    assert distance(logits(loaded(tmp_path).model), wanted) < 0.02
    assert loaded(tmp_path, quant=str(bits)).notes == ()
    for asked in ({"isq": str(bits)}, {"quant": "3"}, {"quant": "auto"}):
        with pytest.raises(QuantizationError, match=rf"already quantized \({bits} bits, bitsandbytes\)"):
            loaded(tmp_path, **asked)
    with pytest.raises(QuantizationError, match="such layers cannot rest on cpu or disk"):
        loaded(tmp_path, device_layers="cpu:1;disk:2")


def test_a_checkpoint_in_eight_bit_floats_just_loads(tmp_path: Path) -> None:
    """Its blocks of 128 × 128 numbers share a scale. Where nothing multiplies them they are widened, as is planned."""
    ensure_importable()
    import transformers
    from safetensors.torch import load_file, save_file

    from tests.checkpoints.tokens import template, tokenizer

    tokens = tokenizer()
    tokens.chat_template = template()
    sizes: dict[str, Any] = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(tokens), **sizes)).eval()
    model.save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    stored = {}
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        if name.endswith("_proj.weight"):
            blocks = weight.unflatten(0, (-1, 128)).unflatten(2, (-1, 128))
            scale = blocks.abs().amax((1, 3)) / 448
            stored[name] = (blocks / scale[:, None, :, None]).flatten(2).flatten(0, 1).to(torch.float8_e4m3fn)
            stored[f"{name}_scale_inv"] = scale
        else:
            stored[name] = weight
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = loaded(tmp_path)
    assert distance(logits(found.model), logits(model)) < 0.1
    chosen = ModelOptions(model_id=str(tmp_path), dtype="f32", cpu=True)
    layout = plan(open_checkpoint(chosen), chosen)
    assert layout is not None
    if not torch.cuda.is_available():
        assert layout.need.weights == pytest.approx(weight_bytes(found.model), rel=0.01)
    with pytest.raises(QuantizationError, match=r"already quantized \(fp8\)"):
        loaded(tmp_path, quant="8")


@pytest.mark.parametrize(("method", "says"), [("gptq", "needs a package"), ("nonsense", "does not know")])
def test_other_quantized_checkpoints_say_what_is_missing(
    folder: Callable[[str], Path], tmp_path: Path, method: str, says: str
) -> None:
    import shutil

    shutil.copytree(folder("llama"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(QuantizationError, match=says) as raised:
        loaded(tmp_path)
    assert method in raised.value.message


def test_two_bits_of_a_small_model_are_refused(folder: Callable[[str], Path]) -> None:
    for asked in ("2", " 2 ", "q2k"):
        with pytest.raises(QuantizationError, match="2 bits destroy a model of 0 million weights") as raised:
            loaded(folder("llama"), isq=asked)
        assert "--quant 3" in (raised.value.hint or "")
    assert "int2" in loaded(folder("llama"), isq="int2").notes[0]


def test_a_topology_is_refused_two_bits_of_a_small_model_as_well(folder: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("0-1: {isq: 2}")
    with pytest.raises(QuantizationError, match="2 bits destroy a model") as raised:
        loaded(folder("llama"), topology=str(tmp_path / "two.yaml"))
    assert "isq of the topology 3" in (raised.value.hint or "")
