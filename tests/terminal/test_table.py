"""Columns line up."""

from mistralrs_cli.terminal.table import table


def test_columns_line_up_with_wide_letters_too() -> None:
    shown = table(("name", "size"), [("模型", "1 B"), ("a", "100 B")], right=(1,))
    assert shown.splitlines() == ["name   size", "模型    1 B", "a     100 B"]
