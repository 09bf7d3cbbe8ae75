"""Visual grounding: the boxes and points in an answer, in pixels of the images that they are about."""

from .find import find
from .values import Box, Found, ImageSpace, Mark, Point

__all__ = ["Box", "Found", "ImageSpace", "Mark", "Point", "find"]
