"""The one error tree: what happened, what to type next, and the code each face answers with.

::

    MistralrsError                    exit 1  HTTP 500
    ├── OptionError                   exit 2  HTTP 400
    ├── ModelError                    exit 3  HTTP 500
    │   ├── ModelNotFound                     HTTP 404
    │   ├── ModelAccessDenied                 HTTP 403
    │   ├── UnsupportedModel                  HTTP 400
    │   ├── QuantizationError                 HTTP 400
    │   ├── MatFormerError                    HTTP 400
    │   ├── TemplateError                     HTTP 400
    │   └── OutOfMemory                       HTTP 503
    ├── MediaError                    exit 4  HTTP 400
    │   ├── MediaNotFound                     HTTP 404
    │   ├── MediaForbidden                    HTTP 403
    │   ├── MediaTooLarge                     HTTP 413
    │   ├── TooManyMedia                      HTTP 413
    │   ├── MediaDecodeError                  HTTP 400
    │   └── UnsupportedModality               HTTP 400
    └── GenerationError               exit 5  HTTP 500
        ├── ContextOverflow                   HTTP 400
        ├── Overloaded                        HTTP 429
        ├── EngineDown                        HTTP 503
        │   └── EngineLost                    HTTP 503
        ├── ShuttingDown                      HTTP 503
        └── GrammarError              exit 2  HTTP 400

Foreign errors are translated where the call is made (``raise … from error``); ours are shown once per face.
"""

import re
from typing import ClassVar, Self

NUMBERED = re.compile(r"\s*(?:\[(?:Errno|WinError|SSL)[^\]]*\]|\((?:os error|_ssl\.c)[^)]*\))\s*:?")
"""What systems and libraries put around their reasons for programmers: ``[Errno -2]``, ``(os error 2)``."""

UNRESOLVED = re.compile(
    "Name or service not known|nodename nor servname provided, or not known|Temporary failure in name resolution"
    "|No address associated with hostname|getaddrinfo failed"
)


class MistralrsError(Exception):
    """Something a user can understand: one line on what happened and, where there is one, a line on what to do.

    ``param`` names the field of a request that is wrong (``messages[0].content[1]``).
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param

    def at(self, param: str) -> Self:
        """The same error, said of one field of a request."""
        self.param = param
        self.message = f"{param}: {self.message}"
        self.args = (self.message,)
        return self

    @property
    def code(self) -> str:
        """What a program recognizes the error by: ``media_not_found``; OpenAI's name where there is one."""
        return CODES.get(type(self)) or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class OptionError(MistralrsError):
    """An option, or a combination of options, makes no sense."""

    exit_code = 2
    http_status = 400


class ModelError(MistralrsError):
    """The model cannot be used."""

    exit_code = 3


class ModelNotFound(ModelError):
    """No such folder, and no such repository on the hub."""

    http_status = 404


class ModelAccessDenied(ModelError):
    """The hub wants a token, or an agreement to the model's terms."""

    http_status = 403


class UnsupportedModel(ModelError):
    """The checkpoint is of an architecture or layout this version cannot run."""

    http_status = 400


class QuantizationError(ModelError):
    """The requested quantization is unknown, or not possible for this model or device."""

    http_status = 400


class MatFormerError(ModelError):
    """The MatFormer table is unreadable, or the slice does not fit the model."""

    http_status = 400


class TemplateError(ModelError):
    """The chat template is missing, does not compile, or refuses the conversation."""

    http_status = 400


class OutOfMemory(ModelError):
    """The model or the request does not fit in memory."""

    http_status = 503


class MediaError(MistralrsError):
    """An image, audio or video cannot be used."""

    exit_code = 4
    http_status = 400


class MediaNotFound(MediaError):
    """No file at that path, or nothing at that address."""

    http_status = 404


class MediaForbidden(MediaError):
    """The media policy, or the operating system, does not allow reading it."""

    http_status = 403


class MediaTooLarge(MediaError):
    """More bytes, pixels, seconds or frames than the limits allow."""

    http_status = 413


class TooManyMedia(MediaError):
    """A request holds more images than memory was planned for."""

    http_status = 413


class MediaDecodeError(MediaError):
    """The bytes are not the kind of medium they should be, or are damaged."""


class UnsupportedModality(MediaError):
    """The model cannot read this kind of medium."""


class GenerationError(MistralrsError):
    """The model failed while answering."""

    exit_code = 5


class ContextOverflow(GenerationError):
    """The prompt does not fit in the model's context."""

    http_status = 400


class Overloaded(GenerationError):
    """As many requests wait already as may; ``retry_after`` is in seconds."""

    http_status = 429

    def __init__(self, message: str, hint: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class EngineDown(GenerationError):
    """The engine has failed for good; no request is answered any more."""

    http_status = 503


class EngineLost(EngineDown):
    """An engine in another process has ended, or does not respond, before it took the request."""


class ShuttingDown(GenerationError):
    """The server is about to end."""

    http_status = 503


class GrammarError(GenerationError):
    """A regular expression, grammar or JSON schema for constrained output is not valid."""

    exit_code = 2
    http_status = 400


CODES: dict[type[MistralrsError], str] = {
    ContextOverflow: "context_length_exceeded",
    Overloaded: "rate_limit_exceeded",
    ModelNotFound: "model_not_found",
}


def first_line(error: BaseException) -> str:
    """The first line of what a library said, and the next one where it ends in a colon."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])


def reason(error: BaseException) -> str:
    """Why the operating system or the network refused something, in words alone and without a full stop.

    ``[Errno 111] Connection refused`` is ``Connection refused``. Never empty.
    """
    said = error.strerror if isinstance(error, OSError) else None
    text = NUMBERED.sub("", said or first_line(error)).strip(" .:") or type(error).__name__
    return UNRESOLVED.sub("the name of the host is not known, or there is no network", text)
