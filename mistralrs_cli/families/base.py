"""What every family does: turn messages into the tensors its model wants, and report what each medium became."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ContextOverflow, MediaDecodeError, TemplateError
from ..events import MediaReport
from ..media.video import VideoSampling
from ..messages import MODALITIES, Media, Message, Modality, Text
from ..options import DEFAULT_INSTRUCTION

if TYPE_CHECKING:
    from ..media.audio import Sound
    from ..media.image import Picture
    from ..media.video import Clip

Config = Mapping[str, Any]
COUPLED_ROPE = {"longrope", "su", "dynamic"}
ROUNDING = 1e-6  # frames: a time of 2 s must not become 1.999… s and be printed as 00:01


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prompt, ready for prefill.

    ``inputs`` are the processor's tensors with a batch of one: ``input_ids`` int64 [1, prompt_tokens], and so on.
    """

    inputs: dict[str, Any]
    prompt_tokens: int
    media: tuple[MediaReport, ...]


class Family:
    """A model family as its configuration describes it. Subclasses override what differs; most need nothing.

    ``modalities`` is what this very checkpoint reads. ``sampling`` says how its videos are sampled, ``audio_rate``
    (Hz) and ``audio_seconds`` how its sounds are given: longer ones go in as consecutive windows, whole.
    ``thinking`` is the tokens around a thought and the heading inside it.
    """

    name: ClassVar[str] = "generic"
    automodel: ClassVar[str] = "AutoModelForMultimodalLM"
    towers: ClassVar[tuple[str, ...]] = ("visual", "vision", "audio", "multi_modal", "connector", "resampler")
    sampling: ClassVar[VideoSampling] = VideoSampling()
    audio_rate: ClassVar[int] = 16_000
    audio_seconds: ClassVar[float | None] = None
    thinking: ClassVar[tuple[str, str, str]] = ("<think>", "</think>", "\n")

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def modalities(self) -> frozenset[Modality]:
        """What this checkpoint reads beside text."""
        found: set[Modality] = set()
        if self.config.get("vision_config") is not None:
            found.add("image")
            if any(self.config.get(key) is not None for key in ("video_token_id", "video_token_index")):
                found.add("video")
        if self.config.get("audio_config") is not None:
            found.add("audio")
        return frozenset(found)

    @property
    def text_config(self) -> Config:
        """The part of the configuration that describes the text decoder."""
        nested: Config | None = self.config.get("text_config")
        return nested if nested is not None else self.config

    @property
    def context_length(self) -> int | None:
        """The most tokens a conversation may hold, if the checkpoint says."""
        length = self.text_config.get("max_position_embeddings")
        return int(length) if length else None

    def batch_key(self, prompt_tokens: int) -> Hashable:
        """Rows with different keys never share a decode step. Most families need only one batch.

        Rotary frequencies that follow the longest row of a batch would change its neighbours' answers: such rows
        decode alone.
        """
        return object() if COUPLED_ROPE & set(rope_types(self.text_config)) else None

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """Apply the template and the processor to a conversation whose media are decoded.

        Raises ``TemplateError`` where the template is missing or refuses the conversation, and
        ``MediaDecodeError`` where the processor refuses a medium (an extreme shape, say).
        """
        messages = [self.with_instruction(message) for message in messages]
        conversation = [
            {"role": message.role, "content": [item for part in message.parts for item in self.content(part)]}
            for message in messages
        ]
        media = [medium for message in messages for medium in message.media]
        inputs = self.apply_template(processor, conversation, self.media_arguments(media), dict(template_inputs or {}))
        ids = inputs["input_ids"][0].tolist()
        if not ids:
            raise ContextOverflow("The prompt is empty.", "Say something, or attach a medium.")
        return Prepared(inputs, len(ids), self.reports(processor, media, ids))

    def with_instruction(self, message: Message) -> Message:
        """A user's media without a word get the default instruction."""
        if message.role == "user" and message.media and not message.text.strip():
            return replace(message, parts=(*message.media, Text(DEFAULT_INSTRUCTION)))
        return message

    def content(self, part: Text | Media) -> list[dict[str, Any]]:
        """One part as the processor's content items; a sound may become several windows."""
        match part:
            case Text():
                return [{"type": "text", "text": part.text}]
            case Media(kind="image"):
                return [{"type": "image", "image": part.data.image}]
            case Media(kind="audio"):
                return [{"type": "audio", "audio": window} for window in self.windows(part.data)]
            case _:
                return [{"type": "video", "video": part.data.frames}]

    def windows(self, sound: Sound) -> list[Any]:
        """A sound as float32 arrays no longer than the model's window, in order and without a gap."""
        if self.audio_seconds is None:
            return [sound.samples]
        size = int(self.audio_seconds * sound.rate)
        return [sound.samples[start : start + size] for start in range(0, len(sound.samples), size)]

    def media_arguments(self, media: Sequence[Media]) -> dict[str, Any]:
        """What the processor must be told about media that are already decoded and sampled.

        Processors divide a frame's index by the rate to get its time. Where the rate varies that is wrong, so the
        index is made from the time.
        """
        clips: list[Clip] = [medium.data for medium in media if medium.kind == "video"]
        if not clips:
            return {}
        metadata = [
            {
                "total_num_frames": clip.total,
                "fps": clip.fps,
                "duration": clip.seconds,
                "frames_indices": [time * clip.fps + ROUNDING for time in clip.times] or list(clip.indices),
            }
            for clip in clips
        ]
        return {"do_sample_frames": False, "video_metadata": metadata}

    def apply_template(
        self, processor: Any, conversation: list[dict[str, Any]], arguments: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """Tensors of the rendered conversation; placeholders typed by a user stay plain text."""
        import jinja2

        if not getattr(processor, "chat_template", None):
            raise TemplateError(
                "This checkpoint has no chat template.",
                "Name one: --chat-template FILE.json or --jinja-explicit FILE.jinja",
            )

        def encode(template: Any) -> dict[str, Any]:
            return dict(
                processor.apply_chat_template(
                    conversation,
                    chat_template=template,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    add_generation_prompt=True,
                    sanitize_control_tokens=True,
                    processor_kwargs=dict(arguments),
                    **extra,
                )
            )

        try:
            try:
                return encode(None)
            except NotImplementedError:  # LLaVA's template leaves the first token to the tokenizer: write it instead
                return encode("{{ bos_token }}" + processor.chat_template)
        except jinja2.TemplateError as error:
            line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise TemplateError(
                f"The chat template refused this conversation{line}: {error}",
                "Check the order of roles, or override the template with --jinja-explicit FILE.jinja",
            ) from error
        except (TypeError, ArithmeticError, LookupError, AttributeError) as error:
            raise TemplateError(
                f"The chat template failed on this conversation: {error}",
                "Does it expect content as text, or as a list of parts? --jinja-explicit FILE.jinja overrides it.",
            ) from error
        except ValueError as error:
            raise MediaDecodeError(
                f"The model's processor refused this prompt: {error}", "Try --max-edge, or another picture shape."
            ) from error

    def reports(self, processor: Any, media: Sequence[Media], ids: Sequence[int]) -> tuple[MediaReport, ...]:
        """What became of each medium: its size as the user knows it, and its placeholder tokens in the prompt."""
        runs = {kind: placeholder_runs(ids, self.placeholder_ids(processor, kind)) for kind in MODALITIES}
        reports = []
        for medium in media:
            taken = [next(runs[medium.kind], 0) for _ in range(self.runs_of(medium))]
            reports.append(MediaReport(medium.kind, medium.source, summary(medium, len(taken)), sum(taken)))
        return tuple(reports)

    def placeholder_ids(self, processor: Any, kind: Modality) -> frozenset[int]:
        """The token ids that stand for one kind of medium in a prompt."""
        names = (f"{kind}_token_id", f"{kind}_token_index")
        found = [self.config.get(name) for name in names] + [getattr(processor, f"{kind}_token_id", None)]
        return frozenset(int(token) for token in found if token is not None)

    def runs_of(self, medium: Media) -> int:
        """How many separate runs of placeholders one medium takes in the prompt."""
        match medium.kind:
            case "audio":
                return len(self.windows(medium.data))
            case "video":
                return len(medium.data.frames)
            case _:
                return 1


def rope_types(text_config: Config) -> Iterator[str]:
    """The kinds of rotary positions a decoder uses, in old and new configurations, for all layers or for each kind."""
    for key in ("rope_parameters", "rope_scaling"):
        parameters = text_config.get(key) or {}
        for named in (parameters, *(value for value in parameters.values() if isinstance(value, dict))):
            yield str(named.get("rope_type") or named.get("type"))


def placeholder_runs(ids: Sequence[int], placeholders: frozenset[int]) -> Iterator[int]:
    """The lengths of the runs of placeholder tokens in a prompt, in order."""
    for is_placeholder, run in groupby(ids, placeholders.__contains__):
        if is_placeholder:
            yield sum(1 for _ in run)


def summary(medium: Media, runs: int) -> str:
    """A decoded medium in a few words: ``640×480 PNG``, ``2.4 s``, ``32 of 250 frames, 10.0 s``."""
    match medium.kind:
        case "image":
            picture: Picture = medium.data
            shrunk = (
                "" if picture.image.size == (picture.width, picture.height) else " → {}×{}".format(*picture.image.size)
            )
            return f"{picture.width}×{picture.height} {picture.format}{shrunk}"
        case "audio":
            sound: Sound = medium.data
            return f"{sound.seconds:.1f} s" + (f" in {runs} windows" if runs > 1 else "")
        case _:
            clip: Clip = medium.data
            return f"{len(clip.indices)} of {clip.total} frames, {clip.seconds:.1f} s"
