"""The name to import in Python. The SDK is not here yet; ``mistralrs run`` on the command line is."""

from mistralrs_cli import __version__

__all__ = ["__version__"]
