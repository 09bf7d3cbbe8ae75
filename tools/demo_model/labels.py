"""What the vision tower learns of a picture: the whole of it in every soft token, and what each of them covers."""

import numpy as np
from PIL import Image, ImageDraw

from tools.demo_model.scenes import COLORS, DIGITS, MAKERS, PRINTED, SHAPES, Figure, Scene, paint

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LONGEST_TEXT = 5
LOCAL = {"shape": 7, "color": 11}
GLOBAL = {
    "kind": 5,
    "count": 6,
    "shape": 7,
    "color": 11,
    "column": 3,
    "row": 3,
    "x": 8,
    "y": 8,
    "r": 8,
    "second_shape": 5,
    "second_color": 11,
    "stacked": 2,
    "trend": 2,
    "word": len(PRINTED) + len(DIGITS),
    **{f"letter{i}": len(CHARACTERS) + 1 for i in range(LONGEST_TEXT)},
}
UNKNOWN = -1
_CLASSES = (*SHAPES, "bar", "text")


def scene_labels(scene: Scene) -> np.ndarray:
    """What every soft token of the picture should know about the whole of it: one class for each of GLOBAL."""
    labels = dict.fromkeys(GLOBAL, UNKNOWN)
    labels["kind"] = list(MAKERS).index(scene.kind)
    labels["count"] = scene.count if scene.kind in ("single", "count", "pair") else 0
    first = scene.figures[0] if scene.figures else None
    labels["shape"] = 1 + _CLASSES.index(first.shape if first else "bar")
    labels["color"] = 1 + list(COLORS).index(first.color if first else scene.color)
    if scene.kind in ("single", "count") and scene.count == 1 and first:
        if not any(abs(edge - value) < 0.04 for edge in (0.36, 0.64) for value in (first.x, first.y)):
            labels["column"], labels["row"] = first.column, first.row
        labels["x"], labels["y"] = min(7, int(first.x * 8)), min(7, int(first.y * 8))
        labels["r"] = min(7, int(first.r * 16))
    if scene.kind == "pair":
        second = scene.figures[1]
        labels["second_shape"] = 1 + SHAPES.index(second.shape)
        labels["second_color"] = 1 + list(COLORS).index(second.color)
        labels["stacked"] = int(scene.stacked)
    if scene.kind == "chart":
        labels["trend"] = int(scene.trend == "rising")
    if scene.kind == "text":
        labels["word"] = (*PRINTED, *DIGITS).index(scene.text)
        for i in range(LONGEST_TEXT):
            labels[f"letter{i}"] = 1 + CHARACTERS.index(scene.text[i]) if i < len(scene.text) else 0
    return np.array(list(labels.values()), np.int8)


def token_labels(scene: Scene, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Per soft token of a ``rows`` x ``columns`` grid.

    Returns the classes of LOCAL (tokens, 2) and the share covered of each of its 4 x 4 parts (tokens, 16).
    """
    cell = 8
    parts = scene.figures or scene.bars
    mask = Image.new("L", (columns * cell, rows * cell), 0)
    paint(ImageDraw.Draw(mask), scene, columns * cell, rows * cell, list(range(1, len(parts) + 1)))
    pixels = np.asarray(mask)
    covered = (pixels.reshape(rows, 4, 2, columns, 4, 2) > 0).mean((2, 5))
    coverage = covered.transpose(0, 2, 1, 3).reshape(rows * columns, 16).astype(np.float16)
    cells = pixels.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3).reshape(rows * columns, cell * cell)
    classes = np.zeros((rows * columns, 2), np.int8)
    for i, part in enumerate(parts):
        shape, color = (part.shape, part.color) if isinstance(part, Figure) else ("bar", scene.color)
        inside = (cells == i + 1).sum(1) >= 10
        classes[inside] = 1 + _CLASSES.index(shape), 1 + list(COLORS).index(color)
    return classes, coverage
