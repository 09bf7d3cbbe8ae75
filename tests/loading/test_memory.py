"""What is planned from odd configurations, and from weights in several types."""

from typing import Any

import pytest

from mistralrs_cli.families import family_for
from mistralrs_cli.loading.headers import Stored
from mistralrs_cli.loading.memory import cache_size, loaded_size, number, plan_need
from mistralrs_cli.loading.quantization import QuantType
from mistralrs_cli.options import ModelOptions

TEXT = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32}


@pytest.mark.parametrize(
    ("value", "expected"), [(7, 7), ([3, 9], 9), ((4,), 4), (None, 0), ("auto", 0), ([], 0), ({"a": 1}, 0), (2.0, 2)]
)
def test_numbers_of_configurations(value: Any, expected: int) -> None:
    assert number({"x": value}, "x") == expected
    assert number({}, "x") == 0


def test_the_size_of_a_loaded_weight() -> None:
    matrix, vector = Stored("BF16", (64, 64), 8192), Stored("BF16", (64,), 128)
    assert loaded_size(matrix, 2, None) == 8192
    assert loaded_size(matrix, 4, None) == 16384
    assert loaded_size(matrix, 2, QuantType.INT4) == 64 * 64 * 4.5 / 8
    assert loaded_size(matrix, 2, QuantType.Q4_K) == 64 * 64 * 5 / 8
    assert loaded_size(vector, 2, QuantType.INT4) == 128
    assert loaded_size(Stored("U8", (10, 10), 100), 4, None, dequantized_on_load=True) == 100
    assert loaded_size(Stored("F8_E4M3", (10, 10), 100), 4, None) == 100
    assert loaded_size(Stored("F8_E4M3", (10, 10), 100), 4, None, dequantized_on_load=True) == 400


def test_keys_and_values() -> None:
    assert cache_size(TEXT, 100, 3, 2, 2) == [2 * 3 * 100 * 2 * 2 * 8] * 2
    sliding = {**TEXT, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 10}
    assert cache_size(sliding, 100, 1, 2, 2) == [2 * 10 * 2 * 16, 2 * 100 * 2 * 16]
    assert cache_size({**sliding, "num_kv_shared_layers": 1}, 100, 1, 2, 2)[1] == 0


def test_towers_and_the_rest_stay_apart_from_the_layers() -> None:
    config = {
        "model_type": "llava",
        "text_config": TEXT,
        "vision_config": {"image_size": [56, 28], "patch_size": [14, 14], "hidden_size": 16, "intermediate_size": []},
        "image_token_index": 3,
    }
    each = Stored("F32", (10,), 40)
    names = ["layers.0.a", "layers.1.a", "layers.1.b"]
    stored = {f"model.language_model.{name}": each for name in names}
    stored |= dict.fromkeys(["model.vision_tower.layers.0.a", "model.mtp.layers.0.a", "lm_head.weight"], each)
    need = plan_need(stored, family_for(config), ModelOptions(), 2, lambda name, layer: None)
    assert need.layers == (20, 40)
    assert need.rest == 60
    assert need.activations > 0
