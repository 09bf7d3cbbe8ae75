"""Ask a model on your own machine about images, audio and video."""

__version__ = "0.1.0"
