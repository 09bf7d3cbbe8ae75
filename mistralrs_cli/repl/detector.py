"""What lies behind a name in a line: an image, audio, video, a text, or nothing that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaError, MistralrsError
from ..media import formats
from ..media.candidates import Sight
from ..media.kinds import kind_of_file
from ..media.spellings import split_pages
from ..media.suffixes import CERTAIN, POSSIBLE, suffix_of, suggested
from ..media.texts import encoding_of
from ..messages import MediaFormat
from ..options import MediaPolicy

if TYPE_CHECKING:
    from ..families import Family


class Detector:
    """Looks at files, and asks web servers for the type of an address within ``policy``."""

    def __init__(self, policy: MediaPolicy) -> None:
        self.policy = policy
        self.reasons: dict[str, str] = {}
        """Why an address could not be reached, by the address."""

    def look(self, path: str, family: Family) -> Sight:
        """What is at a path or web address. Content decides; an animation is a video for a model that reads video."""
        if path[:4].lower() == "http":
            return self.announced(path)
        try:
            file = Path(path).expanduser()
            if not file.exists():
                file = Path(split_pages(path)[0]).expanduser()
            if not file.is_file():
                return absence(file)
            with file.open("rb") as opened:
                head = opened.read(formats.HEAD)
        except PermissionError:
            return suggested(path) or "other"
        except (OSError, RuntimeError, ValueError):  # no such home, a name too long, a null byte
            return "missing"
        found = formats.identify(head)
        suffix = suffix_of(path)
        match found:
            case None | MediaFormat(kind=None):
                if encoding_of(head, whole=len(head) < formats.HEAD) and (found is not None or suffix not in CERTAIN):
                    return "text"
                if found is not None or suffix not in CERTAIN.keys() | POSSIBLE.keys():
                    return "other"
                return kind_of_file(file) or CERTAIN.get(suffix) or "other"  # nothing that its first bytes tell
            case MediaFormat(kind="image", animated=True) if "video" in family.modalities and is_animated(file):
                return "video"
            case MediaFormat(kind="video"):  # a container that may hold both
                return "audio" if suggested(path) == "audio" else kind_of_file(file) or "video"
            case MediaFormat(kind=kind):
                return kind or "other"

    def announced(self, address: str) -> Sight:
        """The kind of medium at an address, by the type that its server gives."""
        from ..media.remote import announced

        try:
            mime = announced(address, self.policy)
        except MediaError as error:
            self.reasons[address] = error.message
            return "unreachable"
        match mime.partition("/"):
            case "image", _, kind if not kind.startswith("svg"):
                return "image"
            case "audio", _, _:
                return "audio"
            case "video", _, _:
                return "video"
            case _:
                return "other"


def absence(path: Path) -> Sight:
    """What is at a path that is no regular file."""
    if path.is_dir():
        return "folder"
    if path.is_symlink() and not path.exists():
        return "dangling"
    return "special" if path.exists() else "missing"


def is_animated(path: Path) -> bool:
    """Whether an image that could be an animation has more than one frame."""
    try:
        return is_animation(path.read_bytes(), str(path))
    except OSError:
        return False


def is_animation(data: bytes, source: str) -> bool:
    """Whether the bytes of an image hold more than one frame."""
    from ..media.image import open_image

    try:
        with open_image(data, source, MediaPolicy()) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, MistralrsError):
        return False
