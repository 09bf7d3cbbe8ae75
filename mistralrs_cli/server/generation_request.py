"""One request, whatever interface it came through: what to ask, and how to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from starlette.datastructures import State

from ..constraint import left_out
from ..constraint.schema import enforceable
from ..decoded import DecodedAudio, DecodedImage, DecodedVideo
from ..errors import MediaTooLarge, OptionError
from ..families import Family, require
from ..media import decode, decoded_size, fetch
from ..media.labels import label
from ..media.reading import naming_part
from ..messages import MODALITIES, DecodedMedia, Media, MediaBytes, MediaRef, Message, Part, Text, media_of
from ..options import MediaPolicy, Sampling, ServerOptions, Tools
from ..protocol.ignored_fields import ignore_field
from ..sizes import readable

if TYPE_CHECKING:
    from ..engine import Engine

MOST_PARTS = 10_000
MOST_TOOLS = 1024
MOST_CHOICES = 32


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation, or bare texts (or tokens) to go on with, and ``choices`` answers to it, or to each of them."""

    messages: tuple[Message, ...] = ()
    prompts: tuple[str | tuple[int, ...], ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    tools: Tools | None = None
    choices: int = 1

    @property
    def words(self) -> str:
        """What is asked, without the media themselves, for a log that is to hold it."""
        if self.prompts:
            return "\n".join(map(str, self.prompts))
        return "\n".join(f"{message.role}: {''.join(map(named, message.parts))}" for message in self.messages)


def heard(question: GenerationRequest, engine: Engine) -> GenerationRequest:
    """The question without what the model's chat template does not read, which is passed over."""
    told = dict(question.sampling.template_kwargs)
    for name in engine.unread(question.sampling):
        del told[name]
        ignore_field(f"chat_template_kwargs.{name}", "is nothing that this model's chat template reads.")
    return replace(question, sampling=replace(question.sampling, template_kwargs=told))


def ignore_unenforced(question: GenerationRequest, state: State) -> None:
    """Note the parts of schemas that answers are not held to beside the fields that were passed over."""
    found = [*left_out(question.sampling.grammar)]
    if question.tools is not None and question.tools.choice == "required":
        for index, tool in enumerate(question.tools.definitions):
            found += enforceable(tool["function"]["parameters"], f"tools[{index}].function.parameters").left_out
    ignored = getattr(state, "ignored", None)
    if ignored is not None:
        for part in found:
            ignored.add(f"{part.place.replace('$', 'schema', 1)}.{part.keyword}")


def counted(messages: tuple[Message, ...]) -> dict[str, object]:
    """How many media of each kind a conversation holds, for the log."""
    kinds = [medium.kind for medium in media_of(messages)]
    return {f"{kind}s": kinds.count(kind) for kind in MODALITIES if kind in kinds}


def named(part: Part) -> str:
    """A part as words: text as it is, a medium by its kind and source."""
    return part.text if isinstance(part, Text) else f"[{part.kind} {label(part.source)}]"


def check_counts(messages: tuple[Message, ...], options: ServerOptions, tools: Tools | None = None) -> None:
    """Raise ``OptionError`` for more parts, calls, tools or media than the server takes, before any is read."""
    total = sum(len(message.parts) + len(message.tool_calls) for message in messages)
    if total > MOST_PARTS or len(messages) > MOST_PARTS:
        raise OptionError(f"The request has {total:,} parts; {MOST_PARTS:,} is the most.", param="messages")
    if tools is not None and len(tools.definitions) > MOST_TOOLS:
        raise OptionError(
            f"The request has {len(tools.definitions):,} tools; {MOST_TOOLS:,} is the most.", param="tools"
        )
    limits = dict(zip(MODALITIES, (options.images, options.audios, options.videos), strict=True))
    kinds = [medium.kind for medium in media_of(messages)]
    for kind, limit in limits.items():
        if (count := kinds.count(kind)) > limit:
            raise OptionError(
                f"The request has {count} {kind} parts, but this server takes {limit}.",
                f"--limit-{kind}s allows more.",
                param="messages",
            )


def check_kinds(messages: tuple[Message, ...], family: Family, name: str) -> None:
    """Raise ``UnsupportedModality``, naming the part, for a medium that the model does not read."""
    for medium in media_of(messages):
        with naming_part(medium):
            require(family, name, [medium.kind])


def is_remote(medium: Media) -> bool:
    """Whether a medium comes over the network."""
    return isinstance(medium, MediaRef) and medium.source[:8].lower().startswith(("http://", "https://"))


def fetched(medium: Media, policy: MediaPolicy) -> MediaBytes | DecodedMedia:
    """The medium with its bytes, unless it is decoded; an error names the part."""
    if isinstance(medium, DecodedMedia):
        return medium
    with naming_part(medium):
        return fetch(medium, policy)


def decoded(medium: MediaBytes | DecodedMedia, policy: MediaPolicy, family: Family) -> DecodedMedia:
    """The medium as the family wants it; an error names the part."""
    with naming_part(medium):
        return decode(medium, policy, rate=family.audio_rate, sampling=family.sampling)


def needed(medium: MediaBytes | DecodedMedia, policy: MediaPolicy, family: Family, free: int) -> int:
    """Bytes that a medium will take once decoded, as far as that matters where ``free`` are to be had."""
    return decoded_size(medium, policy, rate=family.audio_rate, sampling=family.sampling, enough=free)


def unpacked(medium: DecodedMedia) -> int:
    """Bytes of a decoded medium."""
    match medium.data:
        case DecodedImage(image):
            return image.width * image.height * len(image.getbands())
        case DecodedAudio(samples):
            return samples.nbytes
        case DecodedVideo(frames):
            return frames.nbytes


def check_unpacked(media: Sequence[DecodedMedia], limit: int) -> None:
    """Raise ``MediaTooLarge``, naming the last part, for media that take more bytes together once decoded."""
    if sum(map(unpacked, media)) > limit:
        with naming_part(media[-1]):
            raise MediaTooLarge(
                f"The media up to this one take more than {readable(limit)} once they are decoded.",
                "Send fewer or smaller ones, or several requests.",
            )


def with_media(messages: tuple[Message, ...], media: Sequence[DecodedMedia]) -> tuple[Message, ...]:
    """The messages with other media in the places of theirs, in order."""
    rest = iter(media)

    def renewed(part: Part) -> Part:
        return next(rest) if isinstance(part, Media) else part

    return tuple(replace(message, parts=tuple(map(renewed, message.parts))) for message in messages)
