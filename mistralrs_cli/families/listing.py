"""What a family says of itself for the list of models."""

from dataclasses import dataclass

from ..messages import Modality


@dataclass(frozen=True, slots=True)
class Listing:
    """A family's row in the list of models.

    ``architecture`` is the name that ``--arch`` and the SDK know it by, ``example`` a model on the hub, ``reads`` what
    its checkpoints can read beside text, and ``note`` what a user should know.
    """

    architecture: str
    example: str
    reads: tuple[Modality, ...]
    note: str = ""
