"""Media that a program holds: every usual shape and type means what it means elsewhere, or is refused plainly."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mistralrs_cli.errors import MediaDecodeError, MediaError
from mistralrs_cli.media import decode
from mistralrs_cli.media.from_python import from_python, separate
from mistralrs_cli.messages import Media, MediaBytes, MediaOptions
from mistralrs_cli.options import MediaPolicy
from tests.checkpoints.media import audio_of, image_of, video_of

RED, WHITE = (220, 20, 20), (255, 255, 255)
PIXELS = np.empty((40, 60, 3), np.uint8)
PIXELS[:, :30], PIXELS[:, 30:] = RED, WHITE
FLOATS = (PIXELS / 255).astype(np.float32)
GREY = PIXELS[..., 1]
WAVE = np.sin(np.arange(1600) / 10)
RATE = 16000


def tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(array.copy())


COLOURED: dict[str, Any] = {
    "[h, w, 3]": PIXELS,
    "[h, w, 4]": np.dstack([PIXELS, np.full((40, 60), 255, np.uint8)]),
    "[3, h, w]": PIXELS.transpose(2, 0, 1),
    "[1, h, w, 3]": PIXELS[None],
    "not contiguous": np.ascontiguousarray(PIXELS[:, ::-1])[:, ::-1],
    "uint16": PIXELS.astype(np.uint16) * 257,
    "int32": PIXELS.astype(np.int32),
    "int64": PIXELS.astype(np.int64),
    "float32": FLOATS,
    "float64": FLOATS.astype(np.float64),
    "float16": FLOATS.astype(np.float16),
    "float 0..255": PIXELS.astype(np.float32),
    "lists": PIXELS.tolist(),
    "tensor": tensor(PIXELS),
    "tensor [3, h, w]": tensor(PIXELS.transpose(2, 0, 1)),
    "float tensor [3, h, w]": tensor(FLOATS.transpose(2, 0, 1)),
    "bfloat16 tensor": tensor(FLOATS).bfloat16(),
    "tensor with a gradient": tensor(FLOATS).requires_grad_(),
    "PIL": Image.fromarray(PIXELS),
    "PIL with a palette": Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE),
}


@pytest.mark.parametrize("form", COLOURED)
def test_an_image_of_every_shape_and_type(form: str) -> None:
    image = image_of(from_python(COLOURED[form], "image")).image
    assert (image.mode, image.size) == ("RGB", (60, 40))
    assert image.getpixel((29, 20)) == pytest.approx(RED, abs=1)
    assert image.getpixel((30, 20)) == WHITE


@pytest.mark.parametrize("array", [GREY, GREY[..., None], GREY[None], GREY.astype(np.uint16) * 257, GREY.astype(int)])
def test_a_grey_image(array: Any) -> None:
    image = image_of(from_python(array, "image")).image
    assert (image.size, image.getpixel((0, 0)), image.getpixel((59, 39))) == ((60, 40), (20, 20, 20), WHITE)


def test_a_mask_is_black_and_white() -> None:
    image = image_of(from_python(GREY > 128, "image")).image
    assert (image.getpixel((0, 0)), image.getpixel((59, 0))) == ((0, 0, 0), WHITE)


def test_overshoot_of_a_resized_float_is_clipped() -> None:
    assert image_of(from_python(FLOATS * 1.05 - 0.02, "image")).image.getpixel((59, 0)) == WHITE


def test_transparency_lies_on_white() -> None:
    clear = np.dstack([PIXELS, np.zeros((40, 60), np.uint8)])
    assert image_of(from_python(clear, "image")).image.getpixel((0, 0)) == WHITE


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((2, 3, 4, 5, 6)), "Cannot use an ndarray of shape (2, 3, 4, 5, 6) and type float64 as an image"),
        (np.zeros((40, 60, 5), np.uint8), "(40, 60, 5)"),
        (np.zeros((0, 60, 3), np.uint8), "(0, 60, 3)"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.array([["a"]]), "Cannot use an ndarray"),
        (torch.zeros(7, 9, 11), "Cannot use a Tensor of shape (7, 9, 11)"),
        (object(), "Cannot use an object as an image"),
        (None, "Cannot use a NoneType"),
        (5, "Cannot use an int"),
        ({"a": 1}, "Cannot use a dict"),
        ([], "Cannot use a list"),
        ([[1, 2], [3]], "Cannot use a list"),
        (FLOATS * 4 - 2, "values from -1.68"),
        (FLOATS * 1.5, "which may mean several things"),
        (PIXELS.astype(np.int32) * 20, "int32 values from 400 to 5100"),
        (FLOATS * np.nan, "not numbers"),
        ([Image.fromarray(PIXELS)] * 2, "not one image"),
        ((PIXELS, 5), "no rate"),
    ],
)
def test_what_is_no_image_is_refused_in_plain_words(value: Any, says: str) -> None:
    with pytest.raises(MediaError) as caught:
        from_python(value, "image", place="messages[0].content[1]")
    assert says in caught.value.message
    assert caught.value.message.startswith("messages[0].content[1]: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("samples", "peak"),
    [
        (WAVE, 1.0),
        (WAVE.astype(np.float32), 1.0),
        (WAVE.astype(np.float16), 1.0),
        ((WAVE * 32767).astype(np.int16), 1.0),
        ((WAVE * (2**31 - 1)).astype(np.int32), 1.0),
        ((WAVE * 127 + 128).astype(np.uint8), 0.98),
        ((WAVE * 127).astype(np.int8), 0.98),
        (np.stack([WAVE, WAVE]), 1.0),
        (np.stack([WAVE, WAVE], 1), 1.0),
        (WAVE[None], 1.0),
        (WAVE[None, None], 1.0),
        (WAVE.tolist(), 1.0),
        (tensor(WAVE)[None], 1.0),
        (WAVE * 30000, 1.0),  # floats on the scale of int16, as files may have them
    ],
)
@pytest.mark.parametrize("rate", [RATE, np.int64(RATE), np.float32(RATE), torch.tensor(RATE)])
def test_samples_of_every_shape_and_type(samples: Any, peak: float, rate: Any) -> None:
    sound = audio_of(from_python((samples, rate)))
    assert (sound.rate, sound.samples.shape) == (RATE, (1600,))
    assert sound.samples.dtype == np.float32
    assert sound.samples == pytest.approx(WAVE * sound.samples.max() / WAVE.max(), abs=0.02)
    assert sound.samples.max() == pytest.approx(peak, abs=0.01)


def test_the_rate_may_stand_first() -> None:
    """As scipy gives it."""
    assert np.array_equal(audio_of(from_python((RATE, WAVE))).samples, audio_of(from_python((WAVE, RATE))).samples)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (WAVE, "without their rate"),
        ((WAVE, -1), "not a rate"),
        ((WAVE, float("nan")), "not a rate"),
        ((WAVE, 0.2), "too few"),
        ((WAVE > 0, RATE), "scale of bool"),
        (((WAVE * 9).astype(int), RATE), "scale of int64"),
        ((np.zeros((300, 400)), RATE), "(300, 400)"),
        ((np.array([0.0, np.inf]), RATE), "not numbers"),
        ((np.zeros(0), RATE), "(0,)"),
    ],
)
def test_what_is_no_sound_is_refused_in_plain_words(value: Any, says: str) -> None:
    with pytest.raises(MediaDecodeError) as caught:
        from_python(value, "audio")
    assert says in caught.value.message


@pytest.mark.parametrize(
    "frames",
    [
        [Image.fromarray(PIXELS)] * 3,
        [PIXELS] * 3,
        [FLOATS, PIXELS, Image.fromarray(PIXELS)],
        np.stack([PIXELS] * 3),
        np.stack([PIXELS.transpose(2, 0, 1)] * 3),
        np.stack([FLOATS] * 3),
        tensor(np.stack([PIXELS] * 3))[None],
        np.stack([np.dstack([PIXELS, np.full((40, 60), 255, np.uint8)])] * 3),
    ],
    ids=range(8),
)
def test_frames_of_every_shape_and_type(frames: Any) -> None:
    clip = video_of(from_python(frames, "video", rate=np.int64(2)))
    assert (clip.frames.shape, clip.fps, clip.times) == ((3, 40, 60, 3), 2.0, (0.0, 0.5, 1.0))
    assert tuple(clip.frames[2, 20, 0]) == pytest.approx(RED, abs=1)


def test_frames_of_two_sizes_are_refused() -> None:
    with pytest.raises(MediaDecodeError, match="one size; here are 5×5 and 60×40"):
        from_python([Image.fromarray(PIXELS), Image.new("RGB", (5, 5))], "video")


def test_frames_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    assert video_of(from_python([tmp_path / "a.png", png()], "video")).frames.shape == (2, 40, 60, 3)
    with pytest.raises(MediaError, match=r"b\.png does not exist\."):
        from_python([tmp_path / "b.png"], "video")


def turned(path: Path, **save: Any) -> Path:
    """A photo that lies on its side, with the word of EXIF on it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(path, exif=exif, **save)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_a_pil_image_is_turned_as_its_file_is(tmp_path: Path, name: str) -> None:
    path = turned(tmp_path / name)
    there = image_of(decode(MediaBytes("image", "x", path.read_bytes()), MediaPolicy()))
    with Image.open(path) as image:
        here = image_of(from_python(image))
        frames = video_of(from_python([image, image], "video")).frames
    assert here.image.size == there.image.size == (40, 60)
    assert here.image.tobytes() == there.image.tobytes()
    assert frames.shape == (2, 60, 40, 3)


def test_a_pil_image_is_shrunk_as_its_file_is() -> None:
    options = MediaOptions(max_edge=30)
    assert image_of(from_python(Image.fromarray(PIXELS), options=options)).image.size == (30, 20)
    assert image_of(from_python(PIXELS, options=options)).image.size == (30, 20)
    assert from_python(b"\x89PNG\r\n\x1a\n", options=options).options == options


def test_an_animated_pil_image_can_be_a_video(tmp_path: Path) -> None:
    first, *rest = (Image.new("RGB", (20, 10), (0, 0, 50 * number)) for number in range(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=200)
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(2)
        clip = video_of(from_python(image, "video"))
        assert image.tell() == 2
    assert (clip.frames.shape, clip.fps) == ((4, 10, 20, 3), 5.0)


def bytes_of(medium: Media) -> bytes:
    assert isinstance(medium, MediaBytes)
    return medium.data


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


class Pipe(io.RawIOBase):
    """A file that cannot go back."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def readable(self) -> bool:
        return True

    def readall(self) -> bytes:
        data, self.left = self.left, b""
        return data


@pytest.mark.parametrize("before", [0, 7, -1])
def test_an_open_file_is_read_and_left_as_it_was(tmp_path: Path, before: int) -> None:
    """From where it stands; from its start where it stands at its end."""
    data = b"1234567" + png()
    (tmp_path / "a").write_bytes(data)
    for file in (io.BytesIO(data), (tmp_path / "a").open("rb"), (tmp_path / "a").open("rb", buffering=0)):
        with file:
            file.seek(*((0, 2) if before < 0 else (before,)))
            stood = file.tell()
            for _ in range(2):
                assert bytes_of(from_python(file, "image")) == data[max(before, 0) :]
            assert (file.closed, file.tell()) == (False, stood)


def test_a_file_that_cannot_go_back_is_read_once() -> None:
    pipe = Pipe(png())
    assert bytes_of(from_python(pipe)) == png()
    with pytest.raises(MediaDecodeError, match="Nothing is left"):
        from_python(pipe)


class Upload:
    """A file that must be awaited, as FastAPI's are."""

    async def read(self) -> bytes:
        return b""


def closed() -> io.BytesIO:
    file = io.BytesIO(png())
    file.close()
    return file


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (io.StringIO("x"), "opened as text"),
        (closed(), "cannot be read"),
        (Upload(), "must be awaited"),
        (io.BytesIO(), "is empty"),
    ],
)
def test_a_file_that_cannot_be_read(file: Any, says: str) -> None:
    with pytest.raises(MediaDecodeError, match=says):
        from_python(file, "image")


def test_an_image_whose_file_is_closed() -> None:
    image = Image.open(file := io.BytesIO(png()))
    file.close()
    with pytest.raises(MediaDecodeError, match="closed or damaged"):
        from_python(image)


@pytest.mark.parametrize(
    ("values", "kind", "count"),
    [
        (Image.fromarray(PIXELS), "image", 1),
        ("a.png", "image", 1),
        (b"bytes", "image", 1),
        (io.BytesIO(), "image", 1),
        (Path("a.png"), "image", 1),
        (PIXELS, "image", 1),
        (tensor(PIXELS), "image", 1),
        (np.stack([PIXELS, PIXELS]), "image", 2),
        ([Image.fromarray(PIXELS)] * 2, "image", 2),
        (None, "image", 0),
        ((), "image", 0),
        ((WAVE, RATE), "audio", 1),
        ((WAVE, np.int64(RATE)), "audio", 1),
        ([(WAVE, RATE), (WAVE, RATE)], "audio", 2),
        (["a.wav", "b.wav"], "audio", 2),
        ([PIXELS, PIXELS], "video", 1),
        ([[PIXELS], [PIXELS]], "video", 2),
        (np.stack([PIXELS, PIXELS]), "video", 1),
        (([PIXELS, PIXELS], 24), "video", 1),
        (["a.mp4", Path("b.mp4")], "video", 2),
    ],
    ids=range(20),
)
def test_one_value_is_one_medium(values: Any, kind: Any, count: int) -> None:
    assert len(separate(values, kind)) == count
