"""Ask a model on your own machine from Python: ``Runner``, ``Which``, ``ChatCompletionRequest`` and their kin."""

from mistralrs_cli import __version__, sdk
from mistralrs_cli.sdk import *  # noqa: F403

__all__ = ["__version__"]
__all__ += sdk.__all__
