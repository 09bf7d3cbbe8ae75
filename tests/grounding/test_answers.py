"""Tables of answers with the pixels they mean: the published form of each family, its scale, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mistralrs_cli.families.coordinates import COORDINATES
from mistralrs_cli.grounding import ImageCoordinates, find

WIDTH, HEIGHT = 2000, 1000


@dataclass(frozen=True)
class Seen:
    """A medium that was asked about."""

    source: str
    space: ImageCoordinates | None


def space(family: str, width: int = WIDTH, height: int = HEIGHT, **changes: object) -> ImageCoordinates:
    """A family's image; of those that count pixels, one that the processor made half as wide and high."""
    known = COORDINATES[family]
    span = (width / 2, height / 2) if known.scale is None else (known.scale, known.scale)
    return ImageCoordinates(width, height, span, known.y_first, known.lists, **changes)  # type: ignore[arg-type]


def one(family: str) -> list[Seen]:
    """One image, asked about to a model of the family."""
    return [Seen("photo.jpg", space(family))]


FENCED = '```json\n[\n\t{{"bbox_2d": [{}], "label": "cat"}}\n]\n```'

BOXES = [
    ("qwen3_vl", FENCED.format("100, 200, 300, 400"), ("cat", (200, 200, 600, 400))),
    ("qwen3_5", '{"bbox_2d": [0, 0, 1000, 1000], "label": "all"}', ("all", (0, 0, 2000, 1000))),
    ("qwen2_5_vl", FENCED.format("100, 200, 300, 400"), ("cat", (200, 400, 600, 800))),
    (
        "qwen2_vl",
        "<|object_ref_start|>the cat<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>",
        ("the cat", (200, 200, 600, 400)),
    ),
    ("gemma4", '```json\n[{"box_2d": [200, 100, 400, 300], "label": "cat"}]\n```', ("cat", (200, 200, 600, 400))),
    ("gemma3", '[{"box_2d": [200, 100, 400, 300], "label": "cat"}]', ("cat", (200, 200, 600, 400))),
    ("minicpmo", "<ref>cat</ref><box>100 200 300 400</box>", ("cat", (200, 200, 600, 400))),
    ("minicpmo", "<ref>sign</ref><quad>100 200 300 210 290 400 90 390</quad>", ("sign", (180, 200, 600, 400))),
    ("internvl", "The <ref>cat</ref><box>[[100, 200, 300, 400]]</box>.", ("cat", (200, 200, 600, 400))),
    ("internvl", "The cat is at [[100, 200, 300, 400]].", ("", (200, 200, 600, 400))),
    ("glm4v", "It is at [100,200,300,400].", ("", (200, 200, 600, 400))),
    ("kimi_vl", '{"bbox_2d": [0.100, 0.200, 0.300, 0.400]}', ("", (200, 200, 600, 400))),
    ("lfm2_vl", '[{"label": "cat", "bbox": [0.1, 0.2, 0.3, 0.4]}]', ("cat", (200, 200, 600, 400))),
    ("paligemma", "<loc0256><loc0128><loc0512><loc0384> cat", ("cat", (250, 250, 750, 500))),
    ("deepseek_ocr2", "<|ref|>title<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>", ("title", (0, 0, 2000, 1000))),
    # a family's model that answers in fractions, or with names that say the order
    ("qwen3_vl", '{"bbox_2d": [0.1, 0.2, 0.3, 0.4], "label": "cat"}', ("cat", (200, 200, 600, 400))),
    ("gemma4", '{"name": "cat", "x1": 100, "y1": 200, "x2": 300, "y2": 400}', ("cat", (200, 200, 600, 400))),
    ("qwen3_vl", '{"label": "cat", "box": {"left": 100, "top": 200, "right": 300, "bottom": 400}}', ("cat", None)),
    ("qwen3_vl", '{"label": "cat", "bbox_2d": [[100, 200], [300, 400]]}', ("cat", None)),
    ("qwen3_vl", '{"label": "cat", "bbox_2d": "100,200,300,400"}', ("cat", None)),
    ("qwen3_vl", '{"objects": {"found": [{"label": "cat", "bbox_2d": [300, 400, 100, 200]}]}}', ("cat", None)),
    # a little beyond the edge is the edge
    ("qwen3_vl", '{"label": "cat", "bbox_2d": [-3, 0, 1004, 500]}', ("cat", (0, 0, 2000, 500))),
]


@pytest.mark.parametrize(("family", "answer", "expected"), BOXES)
def test_boxes_are_in_pixels_of_the_original(family: str, answer: str, expected: tuple[str, object]) -> None:
    found = find(answer, one(family))
    label, pixels = expected
    assert [(box.label, box.box) for box in found.boxes] == [(label, pixels or (200, 200, 600, 400))]
    assert (found.points, found.left_out) == ((), ())


EYES = [("eyes", (200, 200)), ("eyes", (1010, 500))]
POINTS = [
    ("qwen3_vl", '```json\n[{"point_2d": [100, 200], "label": "nose"}]\n```', [("nose", (200, 200))]),
    ("qwen2_5_vl", '{"point_2d": [100, 200], "label": "nose"}', [("nose", (200, 400))]),
    ("qwen2_5_vl", '<points x1="100" y1="200" alt="nose">nose</points>', [("nose", (200, 400))]),
    ("gemma4", '[{"point": [200, 100], "label": "nose"}]', [("nose", (200, 200))]),
    ("minicpmo", "<ref>nose</ref><point>100 200</point>", [("nose", (200, 200))]),
    ("molmo", '<point x="10.0" y="20.0" alt="nose">nose</point>', [("nose", (200, 200))]),
    ("molmo", 'Two: <points x1="10" y1="20" x2="50.5" y2="50" alt="eyes">eyes</points>.', EYES),
    ("molmo2", '<points coords="1 1 100 200 2 505 500">eyes</points>', EYES),
    ("qwen3_vl", '{"label": "eyes", "points": [[100, 200], [505, 500]]}', EYES),
    ("qwen3_vl", '{"label": "end", "point_2d": [1000, 1000]}', [("end", (1999, 999))]),
]


@pytest.mark.parametrize(("family", "answer", "expected"), POINTS)
def test_points_are_in_pixels_of_the_original(family: str, answer: str, expected: list[object]) -> None:
    found = find(answer, one(family))
    assert [(point.label, point.point) for point in found.points] == expected
    assert (found.boxes, found.left_out) == ((), ())


@pytest.mark.parametrize("form", ['<point x="10" y="20" alt="a">', '<points coords="1 1 100 200">a</points>'])
def test_tags_that_say_their_scale_need_no_known_model(form: str) -> None:
    seen = [Seen("a.png", ImageCoordinates(WIDTH, HEIGHT))]
    assert [point.point for point in find(form, seen).points] == [(200, 200)]


def test_numbers_of_an_unknown_model_are_not_guessed_at() -> None:
    found = find('{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}', [Seen("a.png", ImageCoordinates(WIDTH, HEIGHT))])
    assert not found
    assert "not known" in found.left_out[0]


def test_a_cut_answer_gives_what_is_whole() -> None:
    whole = '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "a"}, {"bbox_2d": [500, 0, 600, 100], "label": "b"}]'
    for end in range(len(whole)):
        found = find(whole[:end], one("qwen3_vl"))
        assert [box.label for box in found.boxes] in ([], ["a"], ["a", "b"])
    assert len(find(whole[:-3], one("qwen3_vl")).boxes) == 1
    assert len(find("<ref>a</ref><box>1 2 3 4</box><ref>b</ref><box>1 2", one("minicpmo")).boxes) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "A cat [1] and a dog.",
        "x1 = [1, 2, 3, 4]",
        '{"total": 12.5, "points": 3, "box": "large", "label": "x"}',
        '{"bbox_2d": [1, 2, 3], "label": "cut"}',
        '{"bbox_2d": [1, 2, NaN, 4]}',
        '{"bbox_2d": [true, false, 1, 2]}',
        "<box>none</box>",
        "<p>{}</p>",
        "[" * 50_000,
        '{"a":' * 50_000,
    ],
)
def test_other_answers_hold_nothing(answer: str) -> None:
    found = find(answer, one("qwen3_vl"))
    assert not found
    assert not found.left_out


def test_what_lies_far_outside_is_left_out() -> None:
    found = find('[{"bbox_2d": [100, 100, 1900, 900]}, {"bbox_2d": [0, 0, 10, 10]}]', one("qwen3_vl"))
    assert [box.box for box in found.boxes] == [(0, 0, 20, 10)]
    assert found.left_out == ("1 of its boxes and points left out: they lie outside the image",)


TWO = [Seen("shots/before.jpg", space("qwen3_vl")), Seen("after.jpg", space("qwen3_vl", 1000, 1000))]
MANY = [
    ('Image 1: {"bbox_2d": [0, 0, 500, 500]}\nImage 2: {"bbox_2d": [0, 0, 500, 500]}', [0, 1]),
    ('In the second picture {"bbox_2d": [0, 0, 500, 500]}', [1]),
    ('before.jpg has {"bbox_2d": [0, 0, 500, 500]}, and after.jpg {"bbox_2d": [0, 0, 500, 500]}', [0, 1]),
    ('{"image_1": [{"bbox_2d": [0, 0, 500, 500]}], "image_2": [{"bbox_2d": [0, 0, 500, 500]}]}', [0, 1]),
    ('[{"image": 1, "bbox_2d": [0, 0, 500, 500]}, {"image": 2, "bbox_2d": [0, 0, 500, 500]}]', [0, 1]),
    ('[{"image_index": 0, "bbox_2d": [0, 0, 500, 500]}, {"image_index": 1, "bbox_2d": [0, 0, 500, 500]}]', [0, 1]),
    ('<points coords="1 1 500 500;2 2 500 500">x</points>', [0, 1]),
]


@pytest.mark.parametrize(("answer", "media"), MANY)
def test_several_images_get_what_is_said_of_them(answer: str, media: list[int]) -> None:
    found = find(answer, TWO)
    sizes = [(1000, 500), (500, 500)]
    placed = [(box.media, box.box[2:]) for box in found.boxes] + [(one.media, one.point) for one in found.points]
    assert placed == [(number, sizes[number]) for number in media]


def test_boxes_of_no_image_in_particular_are_left_out() -> None:
    found = find('{"bbox_2d": [0, 0, 500, 500]}', TWO)
    assert not found
    assert found.left_out == ("1 of its boxes and points left out: they name none of several images",)


def test_an_answer_is_about_the_images_of_the_last_message_that_has_some() -> None:
    earlier = Seen("old.jpg", space("qwen3_vl", 100, 100))
    media = [earlier, Seen("talk.mp3", None), Seen("new.jpg", space("qwen3_vl", turn=2))]
    found = find('{"bbox_2d": [0, 0, 500, 500]}', media)
    assert [(box.media, box.source, box.box) for box in found.boxes] == [(2, "new.jpg", (0, 0, 1000, 500))]


def test_pages_are_known_by_their_numbers() -> None:
    pages = [Seen(f"doc.pdf#page={number}", space("qwen3_vl")) for number in (3, 7)]
    found = find('On page 7: {"bbox_2d": [0, 0, 500, 500], "label": "sum"}', pages)
    assert [box.source for box in found.boxes] == ["doc.pdf#page=7"]


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        ("qwen3_vl", '[{"time": 1.5, "bbox_2d": [0, 0, 500, 500], "label": "ball"}]'),
        ("qwen3_vl", '[{"timestamp": "<1.5 seconds>", "bbox_2d": [0, 0, 500, 500], "label": "ball"}]'),
        ("molmo2", '<points coords="1.5 1 500 500">ball</points>'),
    ],
)
def test_places_in_a_video_have_their_time(family: str, answer: str) -> None:
    found = find(answer, [Seen("clip.mp4", space(family, times=(0.0, 1.5, 3.0)))])
    assert [box.time for box in found.boxes] + [point.time for point in found.points] == [1.5]


def test_every_row_of_the_table_says_where_it_is_published() -> None:
    assert all(row.source and (row.scale is None or row.scale > 0) for row in COORDINATES.values())
    assert list(COORDINATES) == sorted(COORDINATES)
