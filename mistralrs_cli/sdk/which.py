"""Which model, and how it is loaded."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .enums import IsqOrganization, ModelDType, MultimodalArchitecture
from .problems import RequestError, refuse_unknown
from .values import path_of


@dataclass(frozen=True)
class TextAutoMapParams:
    """What memory planning assumes of a text model.

    >>> TextAutoMapParams(max_seq_len=8192).max_batch_size
    1
    """

    max_seq_len: int = 4096
    max_batch_size: int = 1


@dataclass(frozen=True)
class MultimodalAutoMapParams(TextAutoMapParams):
    """What memory planning assumes of a multimodal model.

    >>> Which.MultimodalPlain("demo", auto_map_params=MultimodalAutoMapParams(max_num_images=4)).auto_map_params
    MultimodalAutoMapParams(max_seq_len=4096, max_batch_size=1, max_num_images=4, max_image_length=1024)
    """

    max_num_images: int = 1
    max_image_length: int = 1024


VisionAutoMapParams = MultimodalAutoMapParams
"""The older name."""


@dataclass(frozen=True)
class Plain:
    """A text model: a hub id or a folder."""

    model_id: str | os.PathLike[str]
    arch: Any = None
    tokenizer_json: str | os.PathLike[str] | None = None
    topology: str | os.PathLike[str] | None = None
    organization: IsqOrganization | str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType | str = ModelDType.Auto
    imatrix: str | None = None
    calibration_file: str | None = None
    auto_map_params: TextAutoMapParams | None = None
    hf_cache_path: str | os.PathLike[str] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """These fields as fields of ``ModelOptions``. Raises ``ValueError`` for what there is nothing of here."""
        refuse_unknown(self, ("write_uqff", "from_uqff", "imatrix", "calibration_file"))
        planned = {} if self.auto_map_params is None else dict(vars(self.auto_map_params))
        if planned.get("max_num_images") == 1:
            del planned["max_num_images"]  # the default of planning, which must not become a request's limit
        return {
            "model_id": model_of(self.model_id),
            "arch": self.arch.name if isinstance(self.arch, MultimodalArchitecture) else self.arch,
            "tokenizer": path_of(self.tokenizer_json, "tokenizer_json"),
            "topology": path_of(self.topology, "topology"),
            "isq_organization": value_of(self.organization or IsqOrganization.Default, IsqOrganization, "organization"),
            "dtype": value_of(self.dtype, ModelDType, "dtype"),
            "hf_cache": path_of(self.hf_cache_path, "hf_cache_path"),
            **planned,
        }


def model_of(model_id: Any) -> str:
    """A hub id or a folder as text. Raises ``ValueError`` for anything else."""
    if isinstance(model_id, (str, os.PathLike)) and (found := str(os.fspath(model_id))):
        return found
    raise RequestError(
        f"model_id is {model_id!r:.60}.\nGive a hub id, for example Qwen/Qwen3-VL-4B-Instruct, or a folder."
    )


def value_of(given: Any, names: type[Enum], field: str) -> str:
    """The value of one of several names, which may be given as text, in any case. Raises ``ValueError`` otherwise."""
    for name in names:
        if given is name or (isinstance(given, str) and given.lower() in (name.name.lower(), name.value)):
            return str(name.value)
    known = ", ".join(f"{names.__name__}.{name.name}" for name in names)
    raise RequestError(f"{field} is {given!r:.40}.\nUse {known}.")


@dataclass(frozen=True)
class MultimodalPlain:
    """A model that reads images, audio or video: a hub id or a folder.

    ``max_edge`` caps the longer edge of images, in pixels.
    """

    model_id: str | os.PathLike[str]
    arch: MultimodalArchitecture | str | None = None
    tokenizer_json: str | os.PathLike[str] | None = None
    topology: str | os.PathLike[str] | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType | str = ModelDType.Auto
    max_edge: int | None = None
    calibration_file: str | None = None
    imatrix: str | None = None
    auto_map_params: MultimodalAutoMapParams | None = None
    hf_cache_path: str | os.PathLike[str] | None = None
    matformer_config_path: str | os.PathLike[str] | None = None
    matformer_slice_name: str | None = None
    organization: IsqOrganization | str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """These fields as fields of ``ModelOptions``. Raises ``ValueError`` for what there is nothing of here."""
        text = Plain(
            self.model_id,
            self.arch,
            self.tokenizer_json,
            self.topology,
            self.organization,
            self.write_uqff,
            self.from_uqff,
            self.dtype,
            self.imatrix,
            self.calibration_file,
            self.auto_map_params,
            self.hf_cache_path,
        )
        return text.given | {
            "matformer_config_path": path_of(self.matformer_config_path, "matformer_config_path"),
            "matformer_slice_name": self.matformer_slice_name,
        }


ADAPTERS = "Merge the adapter into its model (peft: merge_and_unload, save_pretrained) and load that folder."
QUANTIZED = 'Name the original checkpoint, and let in_situ_quant="4" make it smaller.'
ELSEWHERE = {
    "GGUF": ("GGUF files are not read here.", QUANTIZED),
    "GGML": ("GGML files are not read here.", QUANTIZED),
    "XLoraGGUF": ("neither GGUF files nor adapters are read here.", QUANTIZED),
    "LoraGGUF": ("neither GGUF files nor adapters are read here.", QUANTIZED),
    "XLoraGGML": ("neither GGML files nor adapters are read here.", QUANTIZED),
    "LoraGGML": ("neither GGML files nor adapters are read here.", QUANTIZED),
    "XLora": ("X-LoRA adapters are not applied here.", ADAPTERS),
    "Lora": ("LoRA adapters are not applied here.", ADAPTERS),
    "AnyMoe": ("no mixture is made of several models here.", "Name the checkpoint of a mixture."),
    "Embedding": ("embeddings are not made here.", "The package sentence-transformers makes them."),
    "DiffusionPlain": ("images are read here, not made.", "The package diffusers makes them."),
    "Speech": ("speech is heard here, not made.", "To have audio heard: Which.MultimodalPlain(model_id)."),
}
"""What mistral.rs has beside these, and what to use instead."""


class UnknownWhich(RequestError, AttributeError):
    """``Which`` has no such kind of model."""


class Kinds(type):
    """Refuses by name the kinds of models that mistral.rs has and this has not."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            close = difflib.get_close_matches(name, ("Plain", "MultimodalPlain", "VisionPlain"), n=1, cutoff=0.7)
            which = close[0] if close else "MultimodalPlain, or Which.Plain for a model that reads text only"
            what, instead = ELSEWHERE.get(name, ("there is no such kind of model.", f"Use Which.{which}."))
            raise UnknownWhich(f"Which.{name}: {what}\n{instead}")


class Which(metaclass=Kinds):
    """Which model to load: ``Which.MultimodalPlain(…)`` or ``Which.Plain(…)``, or no more than its id.

    >>> Which.MultimodalPlain("demo", max_edge=512).max_edge
    512
    >>> Which.GGUF  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    mistralrs_cli.sdk.which.UnknownWhich: Which.GGUF: GGUF files are not read here.
    """

    Plain = Plain
    MultimodalPlain = MultimodalPlain
    VisionPlain = MultimodalPlain
    """The older name."""


def chosen(which: Any) -> Plain | MultimodalPlain:
    """The model that a program names: a ``Which``, a hub id or a folder. Raises ``ValueError`` for anything else."""
    match which:
        case Plain() | MultimodalPlain():
            return which
        case str() | os.PathLike():
            return Plain(os.fspath(which))
    shown = f"Which.{which.__name__} itself" if which in (Plain, MultimodalPlain) else f"{which!r:.60}"
    raise RequestError(
        f"which is {shown}, which names no model.\n"
        'Give a hub id or a folder: Runner("Qwen/Qwen3-VL-4B-Instruct"), or Which.MultimodalPlain(model_id).'
    )
