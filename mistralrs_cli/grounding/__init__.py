"""Visual grounding: the boxes and points in an answer, in pixels of the images that they are about."""

from .find import Medium, asked_about, find
from .values import Box, Found, ImageSpace, Mark, Point

__all__ = ["Box", "Found", "ImageSpace", "Mark", "Medium", "Point", "asked_about", "find"]
