"""transformers' layers still have the code that decoder steps of one token are computed by without them."""

import importlib

import pytest

from mistralrs_cli.engine.runner import layer_forms
from mistralrs_cli.engine.runner.layer_forms import ATTENTION, LAYER, MLP, NORM, NORMED_ATTENTION, has_form
from mistralrs_cli.loading.torchvision import ensure_importable


@pytest.mark.parametrize(
    ("module", "prefix", "mlp", "attention"),
    [
        ("llama", "Llama", "LlamaMLP", ATTENTION),
        ("mistral", "Mistral", "MistralMLP", ATTENTION),
        ("qwen2", "Qwen2", "Qwen2MLP", ATTENTION),
        ("qwen2_vl", "Qwen2VL", "Qwen2MLP", ATTENTION),
        ("qwen2_5_vl", "Qwen2_5_VL", "Qwen2MLP", ATTENTION),
        ("qwen3", "Qwen3", "Qwen3MLP", NORMED_ATTENTION),
        ("qwen3_moe", "Qwen3Moe", "Qwen3MoeMLP", NORMED_ATTENTION),
        ("qwen3_vl", "Qwen3VLText", "Qwen3VLTextMLP", NORMED_ATTENTION),
    ],
)
def test_layers_have_the_form(module: str, prefix: str, mlp: str, attention: tuple[str, ...]) -> None:
    ensure_importable()
    code = importlib.import_module(f"transformers.models.{module}.modeling_{module}")
    norm = getattr(code, f"{prefix}RMSNorm", None) or code.Qwen2RMSNorm
    layer = getattr(code, f"{prefix}DecoderLayer")
    assert has_form(layer.forward, LAYER)
    assert has_form(getattr(code, f"{prefix}Attention").forward, attention)
    assert has_form(getattr(code, mlp).forward, MLP)
    assert has_form(norm.forward, NORM)
    assert layer_forms.has_form(code.rotate_half, layer_forms.ROTATE_HALF)
    assert layer_forms.has_form(code.apply_rotary_pos_emb, layer_forms.ROTARY)


def test_other_code_has_not() -> None:
    ensure_importable()
    gemma = importlib.import_module("transformers.models.gemma3.modeling_gemma3")
    granite = importlib.import_module("transformers.models.granite.modeling_granite")
    glm = importlib.import_module("transformers.models.glm.modeling_glm")
    assert not has_form(gemma.Gemma3RMSNorm.forward, NORM)
    assert not has_form(granite.GraniteDecoderLayer.forward, LAYER)
    assert not has_form(glm.rotate_half, layer_forms.ROTATE_HALF)
    assert not has_form(len, LAYER)
