"""Visual grounding: the boxes and points in an answer, in pixels of the images that they are about."""

from .find import Medium, asked_about, find
from .values import Box, Found, ImageCoordinates, ParsedRegion, Point

__all__ = ["Box", "Found", "ImageCoordinates", "Medium", "ParsedRegion", "Point", "asked_about", "find"]
