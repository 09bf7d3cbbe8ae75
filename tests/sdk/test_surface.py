"""Names, order and defaults are the original's; what is not there is refused, never ignored."""

import inspect
from collections.abc import Callable

import pytest

import mistralrs
from mistralrs import (
    ChatCompletionRequest,
    CompletionRequest,
    IsqOrganization,
    ModelDType,
    MultimodalArchitecture,
    MultimodalAutoMapParams,
    Runner,
    ToolChoice,
    VisionArchitecture,
    VisionAutoMapParams,
    Which,
)


def signature(call: Callable[..., object]) -> list[tuple[str, object]]:
    """Positional parameters and their defaults, in order."""
    found = inspect.signature(call).parameters.values()
    required = inspect.Parameter.empty
    return [(p.name, ... if p.default is required else p.default) for p in found if p.kind is not p.KEYWORD_ONLY]


def test_runner() -> None:
    assert signature(Runner) == [
        ("which", ...), ("max_seqs", 16), ("no_kv_cache", False), ("prefix_cache_n", 16), ("token_source", "cache"),
        ("mtp_model", None), ("mtp_n_predict", None), ("chat_template", None), ("jinja_explicit", None),
        ("num_device_layers", None), ("in_situ_quant", None), ("anymoe_config", None), ("pa_gpu_mem", None),
        ("pa_gpu_mem_usage", None), ("pa_ctxt_len", None), ("pa_blk_size", None), ("pa_cache_type", None),
        ("no_paged_attn", False), ("paged_attn", False), ("seed", None), ("enable_search", False),
        ("search_embedding_model", None), ("search_callback", None), ("tool_callbacks", None),
    ]  # fmt: skip


def test_multimodal_plain() -> None:
    assert signature(Which.MultimodalPlain) == [
        ("model_id", ...), ("arch", None), ("tokenizer_json", None), ("topology", None), ("write_uqff", None),
        ("from_uqff", None), ("dtype", ModelDType.Auto), ("max_edge", None), ("calibration_file", None),
        ("imatrix", None), ("auto_map_params", None), ("hf_cache_path", None), ("matformer_config_path", None),
        ("matformer_slice_name", None), ("organization", None),
    ]  # fmt: skip
    assert signature(MultimodalAutoMapParams) == [
        ("max_seq_len", 4096), ("max_batch_size", 1), ("max_num_images", 1), ("max_image_length", 1024)
    ]  # fmt: skip


def test_chat_completion_request() -> None:
    names = [name for name, _ in signature(ChatCompletionRequest)]
    assert " ".join(names) == (
        "messages model logprobs n_choices logit_bias top_logprobs max_tokens presence_penalty frequency_penalty "
        "repetition_penalty stop_seqs temperature top_p top_k stream grammar grammar_type min_p tool_schemas "
        "tool_choice dry_multiplier dry_base dry_allowed_length dry_sequence_breakers web_search_options "
        "enable_thinking truncate_sequence reasoning_effort ignore_eos"
    )


def test_the_older_names_are_the_same_things() -> None:
    assert Which.VisionPlain is Which.MultimodalPlain
    assert VisionArchitecture is MultimodalArchitecture
    assert VisionAutoMapParams is MultimodalAutoMapParams


def test_every_architecture_is_one_the_command_line_knows() -> None:
    names = (
        "Phi3V Idefics2 LLaVANext LLaVA Lfm2Vl VLlama Qwen2VL Idefics3 MiniCpmO Phi4MM Qwen2_5VL Gemma3 Mistral3 "
        "Llama4 Gemma3n Qwen3VL Qwen3VLMoE Qwen3_5 Qwen3_5Moe Voxtral Gemma4"
    )
    assert [name.name for name in MultimodalArchitecture] == names.split()
    assert [name.name for name in IsqOrganization] == ["Default", "MoQE"]
    assert [name.name for name in ModelDType] == ["Auto", "BF16", "F16", "F32"]
    assert [name.name for name in ToolChoice] == ["NoTools", "Auto"]


def test_responses_have_the_original_attributes() -> None:
    fields = mistralrs.Usage.__dataclass_fields__
    for name in ("avg_tok_per_sec", "avg_prompt_tok_per_sec", "avg_compl_tok_per_sec", "total_time_sec"):
        assert name in fields
    assert set(mistralrs.ChatCompletionResponse.__dataclass_fields__) == {
        "id", "choices", "created", "model", "system_fingerprint", "object", "usage"
    }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"no_kv_cache": True},
        {"mtp_model": "m"},
        {"anymoe_config": object()},
        {"pa_gpu_mem": 100},
        {"paged_attn": True},
        {"enable_search": True},
        {"search_callback": print},
        {"tool_callbacks": {"f": print}},
    ],
)
def test_a_parameter_of_something_that_is_not_there_is_refused_by_name(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        Runner(Which.Plain("demo"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["write_uqff", "from_uqff", "imatrix", "calibration_file"])
def test_a_field_of_something_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Runner(Which.MultimodalPlain("demo", **{name: "file"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["best_of", "suffix", "tool_schemas"])
def test_completion_fields_that_are_not_there(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        _ = CompletionRequest("x", **{name: "y"}).sampling  # type: ignore[arg-type]


def test_a_model_that_is_not_there_is_a_value_error(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="no folder"):
        Runner(Which.Plain(f"{tmp_path}/nothing"))


def test_an_architecture_is_held_against_the_checkpoint() -> None:
    with Runner(Which.MultimodalPlain("demo", arch=MultimodalArchitecture.Gemma4), cpu=True) as runner:
        assert runner.is_model_loaded()
    with pytest.raises(ValueError, match="Qwen3"):
        Runner(Which.MultimodalPlain("demo", arch=MultimodalArchitecture.Qwen3VL))


def test_planning_for_one_picture_is_no_limit_of_one() -> None:
    assert "max_num_images" not in Which.MultimodalPlain("m", auto_map_params=MultimodalAutoMapParams()).given
    asked = Which.MultimodalPlain("m", auto_map_params=MultimodalAutoMapParams(max_num_images=3, max_seq_len=100)).given
    assert (asked["max_num_images"], asked["max_seq_len"]) == (3, 100)
