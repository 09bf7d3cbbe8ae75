"""One request for generation, whatever interface it came through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..constraint import left_out
from ..constraint.schema import enforceable
from ..errors import OptionError
from ..media.labels import label
from ..messages import MODALITIES, MediaBytes, Message, Part, Text, media_of
from ..options import Sampling, Tools
from ..protocol.ignored_fields import IGNORED, ignore_field
from ..speech.transcribe import SpeechOptions
from .backend import Backend

MOST_PARTS = 10_000
MOST_TOOLS = 1024
MOST_CHOICES = 32


@dataclass(frozen=True)
class SpeechRequest:
    """A recording to transcribe, and how."""

    recording: MediaBytes
    options: SpeechOptions


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation, bare prompts (texts or token ids) to continue, or a recording to transcribe (``speech``).

    ``choices`` answers are generated for the conversation, or for each prompt. ``echoes`` has the prompt of each
    answer as text, where the response repeats it.
    """

    messages: tuple[Message, ...] = ()
    prompts: tuple[str | tuple[int, ...], ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    tools: Tools | None = None
    choices: int = 1
    echoes: tuple[str, ...] = ()
    speech: SpeechRequest | None = None

    @property
    def text(self) -> str:
        """The request as text, for ``--log-requests``: media by their kind and source alone."""
        if self.prompts:
            return "\n".join(map(str, self.prompts))
        if self.speech is not None:
            return part_text(self.speech.recording)
        return "\n".join(f"{message.role}: {''.join(map(part_text, message.parts))}" for message in self.messages)

    @property
    def media_counts(self) -> dict[str, object]:
        """How many media of each kind there are, for the log: ``{"images": 2}``."""
        kinds = [medium.kind for medium in media_of(self.messages)]
        if self.speech is not None:
            kinds.append(self.speech.recording.kind)
        return {f"{kind}s": kinds.count(kind) for kind in MODALITIES if kind in kinds}

    def check_size(self) -> None:
        """Raise ``OptionError`` for more parts, calls or tools than the server takes."""
        total = sum(len(message.parts) + len(message.tool_calls) for message in self.messages)
        if total > MOST_PARTS or len(self.messages) > MOST_PARTS:
            raise OptionError(f"The request has {total:,} parts; {MOST_PARTS:,} is the most.", param="messages")
        if self.tools is not None and len(self.tools.definitions) > MOST_TOOLS:
            raise OptionError(
                f"The request has {len(self.tools.definitions):,} tools; {MOST_TOOLS:,} is the most.", param="tools"
            )


def part_text(part: Part) -> str:
    """A text as it is, a medium by its kind and source."""
    return part.text if isinstance(part, Text) else f"[{part.kind} {label(part.source)}]"


def without_unread_kwargs(request: GenerationRequest, backend: Backend) -> GenerationRequest:
    """The request without the ``chat_template_kwargs`` that the model's chat template does not read: ignored fields."""
    kwargs = dict(request.sampling.template_kwargs)
    for name in backend.unread(request.sampling):
        del kwargs[name]
        ignore_field(f"chat_template_kwargs.{name}", "is nothing that this model's chat template reads.")
    return replace(request, sampling=replace(request.sampling, template_kwargs=kwargs))


def ignore_unenforced(request: GenerationRequest) -> None:
    """Add the parts of JSON schemas that no grammar enforces to the ignored fields; ``--strict`` takes them, too."""
    ignored = IGNORED.get()
    if ignored is None:
        return
    parts = [*left_out(request.sampling.grammar)]
    if request.tools is not None and request.tools.choice == "required":
        for index, tool in enumerate(request.tools.definitions):
            parts += enforceable(tool["function"]["parameters"], f"tools[{index}].function.parameters").left_out
    for part in parts:
        ignored.add(f"{part.place.replace('$', 'schema', 1)}.{part.keyword}")
