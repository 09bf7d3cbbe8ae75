"""Files that ship with the package, and text files from any editor."""

import codecs
from pathlib import Path

PACKAGE = Path(__file__).parent
DEMO_CHECKPOINT = PACKAGE / "demo"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, or of one that a byte order mark says is UTF-16, without the mark.

    Raises ``OSError``, and ``UnicodeDecodeError`` for a file that is neither.
    """
    return decoded(path.read_bytes())


def decoded(data: bytes) -> str:
    """Bytes as text: UTF-8, or what a byte order mark says. Raises ``UnicodeDecodeError``."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")


def bundled_folder(name: str) -> Path:
    """``chat_templates`` or ``matformer_configs``: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def bundled(folder: str, name: str) -> Path | None:
    """The file of that name in a bundled folder. ``folder/name`` and ``./folder/name`` find it from anywhere, too."""
    wanted = Path(name)
    if wanted.is_absolute() or wanted.parts[:-1] not in ((), (folder,)):
        return None
    found = bundled_folder(folder) / wanted.name
    return found if found.is_file() else None


def named_file(folder: str, name: str) -> Path:
    """The file a user named: their own where there is one, else the bundled one, else their path as it stands."""
    own = Path(name).expanduser()
    return own if own.is_file() else bundled(folder, name) or own


def bundled_names(folder: str) -> list[str]:
    """The names of a folder's bundled files, sorted."""
    return sorted(path.name for path in bundled_folder(folder).iterdir() if not path.name.startswith((".", "_")))
