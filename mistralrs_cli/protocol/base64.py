"""Base64 as clients write it."""

import binascii


def from_base64(text: str) -> bytes:
    """The bytes, from either alphabet, with padding or without, white space aside. Raises ``ValueError``."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
