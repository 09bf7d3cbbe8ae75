"""``python -m mistralrs_cli`` is ``mistralrs``."""

from .cli.app import entry

if __name__ == "__main__":
    entry()
