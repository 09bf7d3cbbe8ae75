"""Phi-4 Multimodal as the hub's main branch has it: another layout of the same model, with its adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..messages import Modality
from .phi4_multimodal import Phi4Multimodal
from .tokenizers import guarded


class Phi4MM(Phi4Multimodal):
    """``model_type: phi4mm``. Its towers are fixed, so its configuration need not describe them."""

    @property
    def modalities(self) -> frozenset[Modality]:
        """Images and audio."""
        return frozenset({"image", "audio"})

    def register(self) -> None:
        """The architecture is this package's own."""
        from .ports.phi4mm import register

        register()

    def complete(self, model: Any, folder: Path) -> None:
        """The adapters are among the weights."""

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """The published files, or those that transformers writes."""
        from .ports.phi4mm.processing import load_published

        if not (folder / "preprocessor_config.json").is_file():
            return super().load_processor(folder, trust_remote_code=trust_remote_code)
        return guarded(load_published(folder), folder)


FAMILY = Phi4MM
