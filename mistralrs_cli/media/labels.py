"""How a medium's source is named in a message: as the user wrote it, but never a page of base64."""

from ..decoded import DecodedImage
from ..messages import DecodedMedia

LONGEST = 200
SHORT = 40


def is_inline(source: str) -> bool:
    """Whether a source is the medium itself, as a data URL or raw base64, rather than a name of it."""
    return source[:5].lower() == "data:" or (len(source) > LONGEST and "." not in source)


def label(source: str) -> str:
    """The source as the user wrote it; data URLs and raw base64 are cut to 40 characters."""
    if source == "-":
        return "standard input"
    longest = SHORT if is_inline(source) else LONGEST
    head = source[:longest] + ("…" if len(source) > longest else "")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in head)


def notes_on(medium: DecodedMedia) -> list[str]:
    """What a user should know of a medium that was decoded: a line for each thing that was left out, or is missing."""
    notes = []
    if isinstance(medium.data, DecodedImage) and medium.data.more:
        notes.append(
            f"{label(medium.source)} is animated; only its first image is used. Use --video for a whole animation."
        )
    if medium.data.note:
        notes.append(f"{label(medium.source)}: {medium.data.note}")
    return notes
