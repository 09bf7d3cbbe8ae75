"""Private names of libraries: they stand in modules called ``compat.py``, exist, and their libraries are bounded.

What a library does not document may go with any release. Here a release that takes a name away fails with the name,
the library and the module that has to change.
"""

import ast
import asyncio
import importlib
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mistralrs_cli.loading.torchvision import ensure_importable
from tests.drift.source import PACKAGE, ROOT, label, modules


def at(path: str) -> Callable[[], Any]:
    """What stands at ``module:name``, imported when it is called."""
    module, _, name = path.partition(":")

    def find() -> Any:
        ensure_importable()
        found = importlib.import_module(module)
        for part in filter(None, name.split(".")):
            found = getattr(found, part)
        return found

    return find


def hooked() -> Any:
    """A module with a hook of accelerate's."""
    import torch
    from accelerate.hooks import ModelHook, add_hook_to_module

    return add_hook_to_module(torch.nn.Linear(1, 1), ModelHook())


def image() -> Any:
    """An image of Pillow's that is decoded."""
    from PIL import Image

    return Image.new("L", (1, 1))


def fast_tokenizer() -> Any:
    """A fast tokenizer of transformers'."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE()))


async def no_app(scope: object, receive: object, send: object) -> None:
    """An ASGI app."""


def connection() -> Any:
    """A connection of uvicorn's, before it is made."""
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    config = Config(no_app, log_config=None, lifespan="off")
    config.load()
    loop = asyncio.new_event_loop()
    loop.close()
    return H11Protocol(config, ServerState(), {}, loop)


def completing_typer() -> Any:
    """typer, once its modules for shells are imported."""
    importlib.import_module("typer._completion_classes")
    importlib.import_module("typer._completion_shared")
    return importlib.import_module("typer")


def an_option() -> Any:
    """An option of a command, as Typer makes it."""
    from mistralrs_cli.cli.commands import app

    return getattr(importlib.import_module("typer.main").get_command(app), "commands")["run"].params[1]  # noqa: B009


def cache_layer(kind: str, *given: Any) -> Callable[[], Any]:
    """An empty layer of one of transformers' caches."""
    return lambda: at(f"transformers.cache_utils:{kind}")()(*given)


def plain_config() -> Any:
    """A configuration that says nothing."""
    return at("transformers:PretrainedConfig")()()


GENERATION = at("transformers.generation.utils:GenerationMixin")
PRIVATE: list[tuple[str, str, Callable[[], Any], tuple[str, ...]]] = [
    (
        "engine/runner/compat.py",
        "transformers",
        GENERATION,
        ("_prefill", "_update_model_kwargs_for_generation", "_prepare_position_ids_for_generation"),
    ),
    ("engine/runner/compat.py", "transformers", plain_config, ("_attn_implementation",)),
    ("engine/runner/compat.py", "transformers", plain_config, ("_attn_implementation_internal",)),
    ("engine/runner/compat.py", "transformers", at("transformers:PreTrainedModel"), ("_can_set_attn_implementation",)),
    (
        "engine/runner/compat.py",
        "torch",
        at("torch:ops.aten"),
        ("_scaled_dot_product_flash_attention_for_cpu",),
    ),
    ("engine/runner/compat.py", "torch", hooked, ("_forward_hooks", "_forward_pre_hooks")),
    ("engine/kv/layers.py", "transformers", cache_layer("DynamicLayer"), ("is_initialized", "lazy_initialization")),
    (
        "engine/kv/layers.py",
        "transformers",
        cache_layer("DynamicSlidingWindowLayer", 4),
        ("sliding_window", "cumulative_length"),
    ),
    (
        "engine/kv/snapshot.py",
        "transformers",
        cache_layer("LinearAttentionLayer"),
        (
            *("conv_states", "recurrent_states", "is_conv_states_initialized", "is_recurrent_states_initialized"),
            *("has_previous_state", "conv_kernel_size"),
        ),
    ),
    ("loading/compat.py", "transformers", at("transformers:AutoModelForCausalLM"), ("_model_mapping",)),
    ("loading/compat.py", "transformers", plain_config, ("_attn_implementation",)),
    ("loading/compat.py", "transformers", fast_tokenizer, ("_tokenizer",)),
    ("loading/compat.py", "accelerate", hooked, ("_hf_hook",)),
    ("loading/compat.py", "torch", at("torch:cpu"), ("_is_avx512_bf16_supported", "_is_amx_tile_supported")),
    ("loading/compat.py", "torch", at("torch:"), ("_check_with", "_dynamo")),
    ("loading/compat.py", "torch", at("torch._dynamo:"), ("allow_in_graph", "assume_constant_result", "disable")),
    ("loading/compat.py", "torchvision", at("torchvision.ops.boxes:"), ("box_iou",)),
    (
        "loading/compat.py",
        "transformers",
        at("transformers.utils.import_utils:"),
        ("create_import_structure_from_path",),
    ),
    ("loading/compat.py", "torch", at("torch:ops.mkldnn"), ("_is_mkldnn_bf16_supported",)),
    (
        "loading/quantization/compat.py",
        "torch",
        at("torch:ops.aten"),
        ("_convert_weight_to_int4pack_for_cpu", "_weight_int4pack_mm_for_cpu", "_weight_int8pack_mm"),
    ),
    (
        "loading/quantization/compat.py",
        "bitsandbytes",
        at("bitsandbytes.functional:"),
        ("_convert_weight_packed_for_cpu",),
    ),
    (
        "loading/quantization/compat.py",
        "transformers",
        at("transformers.models.qwen3_moe.modeling_qwen3_moe:Qwen3MoeExperts"),
        ("_apply_gate",),
    ),
    (
        "loading/quantization/compat.py",
        "transformers",
        at("transformers.integrations.moe:"),
        ("_default_apply_gate",),
    ),
    (
        "loading/quantization/loader.py",
        "transformers",
        at("transformers.quantizers.base:HfQuantizer"),
        ("_process_model_before_weight_loading",),
    ),
    ("loading/quantization/layers.py", "torch", lambda: at("torch.nn:Linear")()(1, 1), ("_parameters",)),
    ("families/compat.py", "transformers", at("transformers:PreTrainedTokenizerBase"), ("_get_control_tokens",)),
    ("families/processors/smolvlm.py", "transformers", at("transformers:SmolVLMProcessor"), ("_process_videos",)),
    ("media/compat.py", "pillow", image, ("_im", "_new")),
    ("constraint/schema.py", "llguidance", at("llguidance:"), ("_lib",)),
    (
        "server/http/compat.py",
        "uvicorn",
        connection,
        (
            *("connection_made", "data_received", "connection_lost", "send_400_response"),
            *("conn", "connections", "loop", "transport"),
        ),
    ),
    (
        "server/process.py",
        "uvicorn",
        lambda: at("uvicorn:Server")()(at("uvicorn:Config")()(no_app, log_config=None)),
        (
            *("serve", "startup", "on_tick", "shutdown", "handle_exit", "capture_signals"),
            *("should_exit", "force_exit", "server_state"),
        ),
    ),
    ("server/http/compat.py", "starlette", at("starlette.formparsers:"), ("MultiPartParser", "MultiPartException")),
    ("cli/compat.py", "typer", completing_typer, ("_completion_classes", "_completion_shared", "_coercion")),
    ("cli/compat.py", "typer", an_option, ("_runtime_param", "type_descriptor")),
    ("cli/compat.py", "python", at("atexit:"), ("_run_exitfuncs",)),
]
BESIDE = ("huggingface-hub", "prompt-toolkit")  # undocumented modules and classes of these are used
PINNED = {"server/replicas/compat.py": ("ray", {"_private", "_global_node"})}
"""Private names of an extra's library, which need not be installed here: it is pinned to the version that was tried."""
PUBLIC = {"os._exit"}  # in the library's documentation


@pytest.mark.parametrize(
    ("where", "library", "owner", "name"),
    [(where, library, owner, name) for where, library, owner, names in PRIVATE for name in names],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_library_still_has_it(where: str, library: str, owner: Callable[[], Any], name: str) -> None:
    found = owner()
    there = hasattr(found, name)
    installed = "" if library == "python" else f" {version(library)}"
    assert there, f"{library}{installed} has no {name} any more: change mistralrs_cli/{where}, or bound {library}"


def test_private_names_stand_in_compat_modules() -> None:
    known: dict[str, set[str]] = {}
    for where, _, _, names in PRIVATE:
        known.setdefault(where, set()).update(names)
    known |= {where: names for where, (_, names) in PINNED.items()}
    for path in modules():
        if "ports" not in path.parts:  # architectures of transformers' own kind
            unknown = set(private(path)) - known.get(label(path), set())
            assert not unknown, f"{label(path)} uses {unknown}: put it into a compat.py beside it, and into this test"


@pytest.mark.parametrize("library", sorted(library for library, _ in PINNED.values()))
def test_the_library_of_an_extra_is_pinned(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = project["optional-dependencies"][library]
    assert "==" in wanted


@pytest.mark.parametrize("library", sorted({entry[1] for entry in PRIVATE} - {"python"} | set(BESIDE)))
def test_its_library_has_an_upper_bound(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = (entry for entry in project["dependencies"] if re.match(rf"{library}\b(?!-)", entry))
    assert "<" in wanted, f"private names of {library} are used: give it an upper bound"


def private(path: Path) -> Iterator[str]:
    """The names that begin with one underscore and belong to something of others."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owned = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not owned and ast.unparse(node) not in PUBLIC:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from filter(is_private, (node.module or "").split("."))
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif (
            path.name == "compat.py"
            and isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and is_private(node.value)
        ):
            yield node.value


def is_private(name: object) -> bool:
    """Whether it is an identifier that begins with one underscore."""
    return isinstance(name, str) and name.isidentifier() and name.startswith("_") and not name.startswith("__")


def test_the_names_are_those_of_existing_files() -> None:
    assert all((PACKAGE / where).is_file() for where, *_ in PRIVATE)
