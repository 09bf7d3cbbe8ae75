"""Columns line up, and sizes read as disks are sold."""

import pytest

from mistralrs_cli.terminal.table import byte_size, table


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (10_456_000, "10.5 MB"), (8e9, "8.0 GB"), (2.5e15, "2500.0 TB")],
)
def test_sizes(size: float, text: str) -> None:
    assert byte_size(size) == text


def test_columns_line_up_with_wide_letters_too() -> None:
    shown = table(("name", "size"), [("模型", "1 B"), ("a", "100 B")], right=(1,))
    assert shown.splitlines() == ["name   size", "模型    1 B", "a     100 B"]
