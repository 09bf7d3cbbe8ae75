"""The cursor of a terminal, which a progress line hides."""

import os


def end_progress() -> None:
    """Clear the line of a progress that did not end and show the cursor again; safe within a signal handler."""
    os.write(2, b"\x1b[?25h\r\x1b[K")
