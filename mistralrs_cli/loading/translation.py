"""What torch, transformers and safetensors raise while loading, as errors of our own."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MistralrsError, ModelError, OutOfMemory, UnsupportedModel, first_line


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what torch, transformers and safetensors raise while loading into our own errors, and keep them quiet."""
    logger = logging.getLogger("transformers")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            silence_bars()
            yield
    except MistralrsError:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"{name} does not fit in memory.", "Try --quant 4, or a smaller model.") from error
    except Exception as error:
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
            raise OutOfMemory(f"{name} does not fit in memory.", "Try --quant 4, --cpu, or a smaller model.") from error
        if isinstance(error, (ValueError, KeyError, ImportError)):
            raise UnsupportedModel(
                f"{name} cannot be loaded: {first_line(error)}", "MISTRALRS_DEBUG=1 shows the whole story."
            ) from error
        raise ModelError(
            f"Loading {name} failed: {first_line(error)}", "If files may be damaged, download the checkpoint again."
        ) from error
    finally:
        logger.setLevel(level)


def silence_bars() -> None:
    """Loading draws no bars of its own; downloads keep theirs."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
