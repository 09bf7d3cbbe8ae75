"""How a medium's source is named in a message: as the user wrote it, but never a page of base64."""

LONGEST = 200
SHORT = 40


def label(source: str) -> str:
    """The source as the user wrote it; data URLs and raw base64 are cut to 40 characters."""
    if source == "-":
        return "standard input"
    longest = SHORT if source[:5].lower() == "data:" or ("/" not in source[3:] and "." not in source) else LONGEST
    printable = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in source[: longest + 1]
    )
    return printable if len(source) <= longest else printable[:longest] + "…"
