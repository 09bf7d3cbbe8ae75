"""What goes wrong while a model runs, in our own words."""

from __future__ import annotations

import re
import traceback

import torch

from ..errors import GenerationError, MistralrsError, OutOfMemory, first_line

OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)  # the CPU's words, and Metal's


def exhausted(error: BaseException) -> bool:
    """Whether there was no memory. Then the failed frames release the tensors that the error would keep alive."""
    if not (isinstance(error, (torch.OutOfMemoryError, MemoryError)) or OUT_OF_MEMORY.search(str(error))):
        return False
    traceback.clear_frames(error.__traceback__)
    return True


def translate(error: Exception) -> MistralrsError:
    """An error of the model as one of ours, with its cause."""
    if isinstance(error, MistralrsError):
        return error
    ours: MistralrsError
    if exhausted(error):
        ours = OutOfMemory(
            "There is not enough memory for this request.", "Send fewer or smaller media, or use --quant 4."
        )
    else:
        ours = GenerationError(
            f"The model failed while answering: {first_line(error)}", "MISTRALRS_DEBUG=1 shows the whole story."
        )
    ours.__cause__ = error
    return ours
