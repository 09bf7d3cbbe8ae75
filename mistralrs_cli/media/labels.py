"""How a medium's source is named in a message: as the user wrote it, but never a page of base64."""

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
