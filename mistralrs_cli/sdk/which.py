"""Which model, and how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .enums import IsqOrganization, ModelDType, MultimodalArchitecture
from .problems import refuse_unknown


@dataclass(frozen=True)
class TextAutoMapParams:
    """What memory planning assumes of a text model."""

    max_seq_len: int = 4096
    max_batch_size: int = 1


@dataclass(frozen=True)
class MultimodalAutoMapParams(TextAutoMapParams):
    """What memory planning assumes of a multimodal model."""

    max_num_images: int = 1
    max_image_length: int = 1024


VisionAutoMapParams = MultimodalAutoMapParams
"""The older name."""


@dataclass(frozen=True)
class Plain:
    """A text model: a hub id or a folder."""

    model_id: str
    arch: Any = None
    tokenizer_json: str | None = None
    topology: str | None = None
    organization: IsqOrganization | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    imatrix: str | None = None
    calibration_file: str | None = None
    auto_map_params: TextAutoMapParams | None = None
    hf_cache_path: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """These fields as fields of ``ModelOptions``. Raises ``ValueError`` for what there is nothing of here."""
        refuse_unknown(self, ("write_uqff", "from_uqff", "imatrix", "calibration_file"))
        organization = self.organization or IsqOrganization.Default
        planned = {} if self.auto_map_params is None else dict(vars(self.auto_map_params))
        if planned.get("max_num_images") == 1:
            del planned["max_num_images"]  # the default of planning, which must not become a request's limit
        return {
            "model_id": self.model_id,
            "arch": self.arch.name if isinstance(self.arch, MultimodalArchitecture) else self.arch,
            "tokenizer": self.tokenizer_json,
            "topology": self.topology,
            "isq_organization": organization.value,
            "dtype": self.dtype.value,
            "hf_cache": self.hf_cache_path,
            **planned,
        }


@dataclass(frozen=True)
class MultimodalPlain:
    """A model that reads pictures, sounds or clips: a hub id or a folder.

    ``max_edge`` caps the longer edge of pictures, in pixels.
    """

    model_id: str
    arch: MultimodalArchitecture | None = None
    tokenizer_json: str | None = None
    topology: str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    max_edge: int | None = None
    calibration_file: str | None = None
    imatrix: str | None = None
    auto_map_params: MultimodalAutoMapParams | None = None
    hf_cache_path: str | None = None
    matformer_config_path: str | None = None
    matformer_slice_name: str | None = None
    organization: IsqOrganization | None = None

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
            "matformer_config_path": self.matformer_config_path,
            "matformer_slice_name": self.matformer_slice_name,
        }


class Which:
    """Which model to load: ``Which.MultimodalPlain(…)`` or ``Which.Plain(…)``."""

    Plain = Plain
    MultimodalPlain = MultimodalPlain
    VisionPlain = MultimodalPlain
    """The older name."""
