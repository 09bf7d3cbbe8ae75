"""Bytes as people read them."""

import pytest

from mistralrs_cli.sizes import readable


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (10_456_000, "10.0 MiB"),
        (300 << 20, "300 MiB"),
        (15 << 29, "7.5 GiB"),
        (2.5e15, "2,328,306 GiB"),
        (-(200 << 20), "-200 MiB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert readable(size) == text
