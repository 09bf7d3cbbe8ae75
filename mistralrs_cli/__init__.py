"""Ask a model on your own machine about pictures, sound and video."""

__version__ = "0.1.0"
