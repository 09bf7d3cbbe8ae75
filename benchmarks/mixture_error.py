"""Why is a mixture of experts further off when it is quantized, and that of Gemma 4 furthest?

Small random mixtures in the four layouts are compared with themselves in ``int8``: as they are; with every token sent
to the experts that the float32 model chose; and, for Gemma 4, which does not scale its attention's scores, with scores
scaled as other families scale them. The error is the norm of the difference of the logits over that of the logits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mistralrs_cli.loading.torchvision import ensure_importable
from tests.loading.mixtures import MIXTURES, TEXT, save

PARTS = {"everything": None, "queries and keys": r"\.[qk]_proj\.", "experts": "experts"}
SCALED = TEXT["head_dim"] ** -0.5


def opened(folder: Path, pattern: str | None, bits: bool) -> Any:
    """A mixture in float32, or with all weights, or those of a pattern, in ``int8``."""
    import torch
    from transformers import AutoModelForMultimodalLM

    from mistralrs_cli.loading.quantization import Pin, QuantType
    from mistralrs_cli.loading.quantization.loader import Quantization

    whole = Quantization(QuantType.INT8)
    some = Quantization(None, pins=(Pin(QuantType.INT8, pattern=pattern),))
    return AutoModelForMultimodalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        device_map={"": "cpu"},
        quantization_config=None if not bits else whole if pattern is None else some,
    ).eval()


@contextmanager
def hooked(model: Any, hook: Callable[[int, Any], Any]) -> Iterator[None]:
    """``hook`` sees what every router decides, by its layer, and may decide otherwise."""
    routers = [module for name, module in model.named_modules() if name.endswith((".router", ".mlp.gate"))]
    handles = [
        router.register_forward_hook(lambda _module, _inputs, output, layer=layer: hook(layer, output))
        for layer, router in enumerate(routers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def logits(model: Any, hook: Callable[[int, Any], Any], scaling: float | None = None) -> Any:
    """Logits of 200 tokens, with the routers under ``hook``."""
    import torch

    for module in model.modules():
        if scaling is not None and type(module).__name__ == "Gemma4TextAttention":
            module.scaling = scaling
    ids = torch.randint(6, 290, (1, 200), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), hooked(model, hook):
        return model(input_ids=ids).logits


def errors(full: Any, packed: Any, scaling: float | None) -> tuple[float, float]:
    """The relative error of the logits, and the same where every token keeps its experts."""
    chosen: list[Any] = []
    wanted = logits(full, lambda layer, output: chosen.append(output), scaling)
    found = (
        logits(packed, lambda layer, output: None, scaling),
        logits(packed, lambda layer, output: chosen[layer], scaling),
    )
    free, kept = (float((each - wanted).norm() / wanted.norm()) for each in found)
    return free, kept


def rows(name: str, folder: Path) -> Iterator[Sequence[Any]]:
    """What is measured of one mixture."""
    full = opened(folder, None, bits=False)
    packed = {part: opened(folder, pattern, bits=True) for part, pattern in PARTS.items()}
    for scaling in (None, SCALED) if name == "gemma4" else (None,):
        title = name if scaling is None else f"{name}, scaled scores"
        yield title, *(error for model in packed.values() for error in errors(full, model, scaling))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    ensure_importable()
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    print(f"{'in int8; right columns: same experts':38}" + "".join(f"{part:>18}" for part in PARTS))
    for name in MIXTURES:
        with tempfile.TemporaryDirectory() as folder:
            for title, *found in rows(name, save(name, Path(folder))):
                pairs = zip(found[::2], found[1::2], strict=True)
                print(f"{title:38}" + "".join(f"{free:>11.3f} {kept:.3f} " for free, kept in pairs), flush=True)


if __name__ == "__main__":
    main()
