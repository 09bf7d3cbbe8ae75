"""What is drawn into an image: labels that can be read, whole and inside it."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from mistralrs_cli.grounding import Box, Point
from mistralrs_cli.media import marks
from mistralrs_cli.media.marks import font_for, mark

WHOLE = (1.0, 1.0)


def box(place: tuple[int, int, int, int], label: str = "") -> Box:
    return Box(place, label, 0, "a.png")


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int, int]]:
    """The rectangles that labels take, as they are written."""
    spots: list[tuple[int, int, int, int]] = []
    write = marks.write_label

    def kept(*given: Any) -> tuple[int, int, int, int]:
        spots.append(write(*given))
        return spots[-1]

    monkeypatch.setattr(marks, "write_label", kept)
    return spots


def changed(image: Image.Image, ground: str) -> tuple[int, int, int, int] | None:
    """The rectangle of all pixels that are not the ground's."""
    from PIL import ImageChops

    return ImageChops.difference(image, Image.new("RGB", image.size, ground)).getbbox()


@pytest.mark.parametrize("ground", ["white", "black", "#e6194b"])
def test_a_box_is_seen_on_any_ground(ground: str) -> None:
    image, _ = mark(Image.new("RGB", (800, 600), ground), [box((100, 200, 300, 400))], WHOLE)
    left, top, right, bottom = changed(image, ground) or (0, 0, 0, 0)
    assert abs(left - 100) <= 1
    assert abs(top - 200) <= 1
    assert abs(right - 300) <= 1
    assert abs(bottom - 400) <= 1


@pytest.mark.parametrize(
    "place", [(0, 0, 50, 50), (750, 0, 800, 50), (0, 550, 50, 600), (750, 550, 800, 600), (0, 0, 800, 600)]
)
@pytest.mark.parametrize("label", ["cat", "a very long label " * 20])
def test_a_label_is_never_cut_by_the_edge(
    place: tuple[int, int, int, int], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spots = watched(monkeypatch)
    mark(Image.new("RGB", (800, 600)), [box(place, label)], WHOLE)
    ((left, top, right, bottom),) = spots
    assert 0 <= left < right <= 800
    assert 0 <= top < bottom <= 600
    assert bottom - top >= 18


def test_labels_avoid_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    spots = watched(monkeypatch)
    mark(Image.new("RGB", (800, 600)), [box((100, 100, 400, 400), name) for name in ("one", "two", "three")], WHOLE)
    for index, spot in enumerate(spots):
        assert not any(marks.overlap(spot, other) for other in spots[:index])


def test_a_small_image_is_enlarged_for_its_labels() -> None:
    image, _ = mark(Image.new("RGB", (60, 40), "white"), [Point((30, 20), "", 0, "a.png")], WHOLE)
    assert image.size == (480, 320)
    left, top, right, bottom = changed(image, "white") or (0, 0, 0, 0)
    assert abs((left + right) / 2 - 30.5 * 8) <= 1
    assert abs((top + bottom) / 2 - 20.5 * 8) <= 1


def test_a_shrunk_image_has_its_marks_in_place() -> None:
    image, _ = mark(Image.new("RGB", (800, 600), "white"), [box((2000, 0, 4000, 3000))], (0.2, 0.2))
    assert (changed(image, "white") or (0,))[0] == 400


def test_letters_that_no_font_has_become_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert font_for("Ünïcödé", 20) is not None
    monkeypatch.setattr(marks, "FONTS", ())
    assert font_for("猫", 20) is None
    _, numbered = mark(Image.new("RGB", (800, 600)), [box((0, 0, 9, 9), "cat"), box((50, 50, 90, 90), "猫")], WHOLE)
    assert numbered == {2: "猫"}
