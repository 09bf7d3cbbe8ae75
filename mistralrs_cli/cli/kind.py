"""The word that says what kind of model is meant."""

from ..errors import OptionError
from .argv import KINDS, Attachment


def check_kind(word: str | None, path: str, media: tuple[tuple[Attachment, str], ...] = ()) -> None:
    """Raise ``OptionError`` for media with the kind ``text``, and for a word that is no kind."""
    kinds = [kind for kind, _ in media if kind not in ("file", "clipboard")]
    if word == "text" and kinds:
        raise OptionError(
            f"--{kinds[0]} cannot be used with the kind 'text'.", "Leave out the word text, or say multimodal."
        )
    if word is not None and word not in KINDS:
        from .usage import unexpected

        raise unexpected(word, path)
