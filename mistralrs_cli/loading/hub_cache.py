"""The checkpoints that were downloaded, the quantized copies that were kept, and getting rid of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..errors import ModelNotFound


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model on this disk: its size in bytes and when it was last used (Unix time).

    ``revisions`` are the hub's; a copy that was ``quantized`` here says how, as ``--quant`` does.
    """

    name: str
    size: int
    last_used: float
    folder: Path
    revisions: tuple[str, ...] = ()
    quantized: str = ""


def cache_folder(cache: str | None) -> Path:
    """Where downloads are kept: the folder named, else the hub's own."""
    from huggingface_hub import constants

    return Path(cache or constants.HF_HUB_CACHE).expanduser()


def cached_models(cache: str | None = None) -> list[CachedModel]:
    """Every downloaded model and every quantized copy, the largest first."""
    found = [*downloaded(cache_folder(cache)), *kept()]
    return sorted(found, key=lambda model: (-model.size, model.name, model.quantized))


def downloaded(folder: Path) -> Iterator[CachedModel]:
    """The models in a cache of the hub's."""
    from huggingface_hub import scan_cache_dir

    if not folder.is_dir():
        return
    for repository in scan_cache_dir(folder).repos:
        if repository.repo_type == "model":
            refs = tuple(sorted({name for revision in repository.revisions for name in revision.refs}))
            place = Path(repository.repo_path)
            yield CachedModel(repository.repo_id, repository.size_on_disk, repository.last_accessed, place, refs)


def kept() -> Iterator[CachedModel]:
    """The quantized copies that earlier runs kept."""
    from .quantization.writer import cached_copies

    for copy in cached_copies():
        used = max(file.stat().st_atime for file in copy.folder.iterdir())
        yield CachedModel(copy.model, copy.size, used, copy.folder, quantized=copy.option)


def require_cached(names: Sequence[str], models: Sequence[CachedModel]) -> None:
    """Raise ``ModelNotFound`` for a name that is none of the models'."""
    present = {model.name for model in models}
    for name in names:
        if name not in present:
            close = get_close_matches(name, present, n=1)
            raise ModelNotFound(
                f"{name} is not among the models here.",
                f"Did you mean {close[0]}?" if close else "mistralrs cache list shows them.",
            )


def delete_cached(names: Sequence[str], cache: str | None = None) -> int:
    """Remove models, downloads and quantized copies alike, and return the bytes that freed.

    Raises ``ModelNotFound`` where one of the names is not there; then nothing is removed.
    """
    models = cached_models(cache)
    require_cached(names, models)
    leaving = [model for model in models if model.name in names]
    for model in leaving:
        shutil.rmtree(model.folder)  # not by revision: a copied repository has the commits of its original
    return sum(model.size for model in leaving)
