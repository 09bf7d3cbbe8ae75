"""What every family does: turn messages into the tensors its model wants, and report what each medium became."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ..decoded import DecodedAudio, DecodedImage, DecodedVideo
from ..errors import ContextOverflow, MediaDecodeError, TemplateError
from ..events import MediaReport
from ..media.labels import label
from ..media.video import VideoSampling
from ..messages import MODALITIES, DecodedMedia, Media, Message, Modality, Part, Text, decoded_media
from ..options import DEFAULT_INSTRUCTION
from .control_tokens import escape_control_tokens
from .coordinates import with_coordinates
from .encoder import AUDIO, IMAGES, VIDEOS, Encoder
from .listing import Listing
from .parts import adapt_template, in_text, own_template, text_roles
from .positions import LONG_ROPE, rope_types, stretched
from .runs import closed_runs, placeholder_runs, sound_note, summary
from .turns import extra_fields, is_refusal, merged, require_template, require_unicode, simpler, template_errors

Config = Mapping[str, Any]
ROUNDING = 1e-6  # frames: a time of 2 s must not become 1.999… s and be printed as 00:01


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prompt, ready for prefill.

    ``inputs`` are the processor's tensors with a batch of one: ``input_ids`` int64 [1, prompt_tokens], and so on.
    ``adapter`` is the one that the family must set before the model runs this prompt and every token of its answer;
    keys and values computed with one adapter mean nothing with another. A prompt that is not ``reusable`` is always
    run from its beginning, and is nothing for later ones to begin with.
    """

    inputs: dict[str, Any]
    prompt_tokens: int
    media: tuple[MediaReport, ...]
    adapter: Hashable = None
    reusable: bool = True


class Family:
    """A model family as its configuration describes it. Subclasses override what differs; most need nothing.

    ``listing`` is its row in the list of models.
    ``modalities`` is what this very checkpoint reads. ``sampling`` says how its videos are sampled, ``audio_rate``
    (Hz) and ``audio_seconds`` how its audio is given: longer audio goes in as consecutive windows, whole,
    and audio or a last window below ``shortest_audio`` (seconds) gets silence after it.
    ``batch_key_changes`` says that a row's ``batch_key`` changes as it grows, so that it goes on beside others then.
    ``encoders`` are the parts whose results the engine may keep for media that come again.
    ``image_end_token`` is the token that closes an image, where its placeholders come in several runs (rows, tiles).
    ``thinking`` is the tokens around a thought and the heading inside it. ``bundled_template`` names the file of
    ``chat_templates/`` that serves a checkpoint without a template. ``prefix_reuse`` says whether a prompt may go on
    from what an earlier one left in its cache.
    ``chunked_prefill`` says whether a long prompt may be run in chunks while other answers go on, ``chunked_states``
    whether also where layers keep a state (linear attention, convolutions), and ``divisible_media`` whether a chunk may
    end inside a medium, whose tokens must then attend to none after them. ``processor_escapes`` says whether the
    processor itself tells control tokens typed by a user from its own. ``matformer`` says whether smaller models can be
    cut out of the checkpoint. ``described`` is the files of which one must say how the processor prepares media.
    ``transcribes`` says that its models only write down speech, ``speech_times`` that those give times, too.
    ``part`` names the part of the configuration that the family is about, where that is not the whole.
    """

    name: ClassVar[str] = "generic"
    listing: ClassVar[Listing | None] = None
    automodel: ClassVar[str] = "AutoModelForMultimodalLM"
    towers: ClassVar[tuple[str, ...]] = ("visual", "vision", "audio", "multi_modal", "connector", "resampler")
    sampling: ClassVar[VideoSampling] = VideoSampling()
    audio_rate: ClassVar[int] = 16_000
    audio_seconds: ClassVar[float | None] = None
    shortest_audio: ClassVar[float] = 0.0
    batch_key_changes: ClassVar[bool] = False
    encoders: ClassVar[tuple[Encoder, ...]] = (IMAGES, VIDEOS, AUDIO)
    image_end_token: ClassVar[str | None] = None
    thinking: ClassVar[tuple[str, str, str]] = ("<think>", "</think>", "\n")
    bundled_template: ClassVar[str | None] = None
    prefix_reuse: ClassVar[bool] = True
    chunked_prefill: ClassVar[bool] = True
    chunked_states: ClassVar[bool] = False
    divisible_media: ClassVar[bool] = False
    processor_escapes: ClassVar[bool] = True
    matformer: ClassVar[bool] = False
    transcribes: ClassVar[bool] = False
    speech_times: ClassVar[bool] = False
    described: ClassVar[tuple[str, ...]] = ("processor_config.json", "preprocessor_config.json")
    part: str | None = None

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
    def max_aspect_ratio(self) -> float | None:
        """How many times as long as wide an image or a video may be, where the model sets a limit."""
        return None

    @property
    def text_config(self) -> Config:
        """The part of the configuration that describes the text decoder."""
        nested: Config | None = self.config.get("text_config")
        return nested if nested is not None else self.config

    @property
    def context_length(self) -> int | None:
        """The most tokens a conversation may hold, if the checkpoint says; stretched positions reach further."""
        length = self.text_config.get("max_position_embeddings")
        return max(int(length), stretched(self.text_config, int(length))) if length else None

    @property
    def rope_switch_length(self) -> int | None:
        """How many tokens a cache may hold before everything in it must be recomputed, if there is such a limit.

        Long rotary positions (LongRoPE, arXiv 2402.13753) turn by other angles throughout once a sequence is longer
        than those the model was first trained on.
        """
        if not LONG_ROPE & set(rope_types(self.text_config)):
            return None
        length = self.text_config.get("original_max_position_embeddings")
        for key in ("rope_parameters", "rope_scaling"):
            length = length or (self.text_config.get(key) or {}).get("original_max_position_embeddings")
        return int(length) if length else None

    def batch_key(self, tokens: int) -> Hashable:
        """Rows with different keys never share a decode step. ``tokens`` are those a row's cache holds.

        Rotary frequencies that follow the longest row of a batch would change its neighbours' answers. Where they
        change once, long rows and short ones decode apart; where they follow every token, each row decodes alone.
        """
        if self.rope_switch_length is not None:
            return tokens > self.rope_switch_length
        coupled = {*LONG_ROPE, "dynamic"} & set(rope_types(self.text_config))
        return object() if coupled else None

    def chunkable(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens may be prefilled in chunks, whose positions turn as those of the whole."""
        if self.rope_switch_length is not None:
            return self.chunked_prefill and tokens <= self.rope_switch_length
        return self.chunked_prefill and not {*LONG_ROPE, "dynamic"} & set(rope_types(self.text_config))

    def require_version(self, name: str) -> None:
        """Raise ``UnsupportedModel`` for a checkpoint ``name`` that has the family's ``model_type`` and is another."""

    def register(self) -> None:
        """Make an architecture that transformers does not have known to it; called before anything is loaded."""

    def load_processor(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """The processor of a checkpoint in ``folder``; for text models its tokenizer. Transformers' errors pass."""
        from transformers import AutoProcessor, AutoTokenizer

        loader = AutoProcessor if self.modalities else AutoTokenizer
        return loader.from_pretrained(folder, trust_remote_code=trust_remote_code)

    def complete(self, model: Any, folder: Path) -> None:
        """Add to a loaded model what ``from_pretrained`` leaves in its folder."""

    def set_adapter(self, model: Any, adapter: Any) -> None:
        """Use the adapter of a prompt (``Prepared.adapter``); most families have none."""

    def prepare(
        self, processor: Any, messages: Sequence[Message], template_inputs: Mapping[str, Any] | None = None
    ) -> Prepared:
        """Apply the template and the processor to a conversation whose media are decoded.

        Raises ``TemplateError`` where the template is missing or refuses the conversation, and
        ``MediaDecodeError`` where the processor refuses a medium (an extreme shape, say).
        """
        template_inputs = dict(template_inputs or {})
        messages = [self.with_instruction(message, template_inputs) for message in messages]
        conversation = [
            {
                "role": message.role,
                "content": merged(item for part in message.parts for item in self.content(part)),
                **extra_fields(message),
            }
            for message in messages
        ]
        require_unicode(conversation)
        media = decoded_media(messages)
        for medium in media:
            self.check_aspect_ratio(medium)
        inputs = self.applied(processor, conversation, self.media_arguments(media), template_inputs)
        ids = inputs["input_ids"][0].tolist()
        if not ids:
            raise ContextOverflow("The prompt is empty.", "Say something, or attach a medium.")
        short = self.rope_switch_length is None or len(ids) <= self.rope_switch_length
        reports = with_coordinates(self.config, messages, self.reports(processor, media, ids), inputs)
        return Prepared(inputs, len(ids), reports, reusable=short)

    def applied(
        self,
        processor: Any,
        conversation: list[dict[str, Any]],
        arguments: dict[str, Any],
        template_inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """``apply_template``, again with neighbouring turns joined where the template refuses the order of roles."""
        try:
            return self.apply_template(processor, conversation, arguments, template_inputs)
        except TemplateError as error:
            if not is_refusal(error):
                raise
            for other in simpler(conversation):
                try:
                    return self.apply_template(processor, other, arguments, template_inputs)
                except TemplateError as again:
                    if not is_refusal(again):
                        raise
            raise

    def check_aspect_ratio(self, medium: DecodedMedia) -> None:
        """Raise ``MediaDecodeError`` for images and videos too long and thin for the model."""
        data = medium.data
        if self.max_aspect_ratio is None or isinstance(data, DecodedAudio):
            return
        size = data.image.size if isinstance(data, DecodedImage) else data.frames.shape[2:0:-1]
        if max(size) > self.max_aspect_ratio * min(size):
            raise MediaDecodeError(
                f"{label(medium.source)} is {data.width}×{data.height}: {self.name} takes images up to "
                f"{self.max_aspect_ratio:g} times as long as wide.",
                "Crop it, or cut it into several images.",
            )

    def transcription(
        self, audio: Media, language: str | None = None, *, translate: bool = False, prompt: str | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """A conversation that has speech written down, or translated into English, and its template inputs.

        ``language`` is the code of the speech's own, ``en``, say; ``prompt`` has names and words that may come.
        """
        if translate:
            tongue = f" from the language {language}" if language else ""
            text = f"Translate the following speech{tongue} into English. Write only the translation"
        else:
            tongue = f"in the language {language}" if language else "in its original language"
            text = f"Transcribe the following speech {tongue}. Write only the transcription"
        parts = (Text(f"{text}, without line breaks."), audio)
        return [Message("user", (*parts, Text(f"\n{prompt}")) if prompt else parts)], {}

    def with_instruction(self, message: Message, template_inputs: Mapping[str, Any]) -> Message:
        """A user's media without a word get the default instruction. ``template_inputs`` are as in ``prepare``."""
        if message.role == "user" and message.media and not message.text.strip():
            return replace(message, parts=(*message.media, Text(DEFAULT_INSTRUCTION)))
        return message

    def content(self, part: Part) -> list[dict[str, Any]]:
        """One part as the processor's content items; audio may become several windows."""
        match part:
            case Text():
                return [{"type": "text", "text": part.text}]
            case DecodedMedia(data=DecodedImage(image=image)):
                return [{"type": "image", "image": image}]
            case DecodedMedia(data=DecodedAudio() as audio):
                return [{"type": "audio", "audio": window} for window in self.windows(audio)]
            case DecodedMedia(data=DecodedVideo(frames=frames)):
                return [{"type": "video", "video": frames}]
            case _:
                raise TypeError(f"{part.source!r} is not decoded")

    def windows(self, audio: DecodedAudio) -> list[Any]:
        """Audio as float32 arrays no longer than the model's window, in order and without a gap.

        What is shorter than the audio tower takes is padded with silence.
        """
        import numpy as np

        size = len(audio.samples) if self.audio_seconds is None else int(self.audio_seconds * audio.rate)
        least = int(self.shortest_audio * audio.rate)
        windows = [audio.samples[start : start + size] for start in range(0, len(audio.samples), size)]
        return [np.pad(window, (0, max(0, least - len(window)))) for window in windows]

    def media_arguments(self, media: Sequence[DecodedMedia]) -> dict[str, Any]:
        """Arguments of the processor for media that are already decoded and sampled.

        Processors divide a frame's index by the rate to get its time. Where the rate varies that is wrong, so the
        index is made from the time.
        """
        videos = [medium.data for medium in media if isinstance(medium.data, DecodedVideo)]
        if not videos:
            return {}
        metadata = [
            {
                "total_num_frames": video.total,
                "fps": video.fps,
                "duration": video.seconds,
                "frames_indices": [time * video.fps + ROUNDING for time in video.times] or list(video.indices),
            }
            for video in videos
        ]
        return {"do_sample_frames": False, "video_metadata": metadata}

    def apply_template(
        self, processor: Any, conversation: list[dict[str, Any]], arguments: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """Tensors of the rendered conversation; placeholders typed by a user stay plain text."""
        require_template(processor)
        extra = dict(extra)
        ending = {
            name: extra.pop(name) for name in ("add_generation_prompt", "continue_final_message") if name in extra
        }
        if self.processor_escapes:
            typed, turns = processor, conversation
        else:
            typed, turns = escape_control_tokens(processor, conversation)
        placeholders: dict[str, str] = {
            kind: token for kind in MODALITIES if (token := self.placeholder(processor, kind))
        }
        special = getattr(processor, "tokenizer", processor).special_tokens_map
        own = own_template(processor.chat_template, tools=bool(extra.get("tools")))
        template = adapt_template(own, conversation, placeholders, special)
        special_tokens = tuple((name, token) for name, token in special.items() if isinstance(token, str))
        turns = in_text(turns, text_roles(template, special_tokens))

        def encode(template: str) -> dict[str, Any]:
            return dict(
                typed.apply_chat_template(
                    turns,
                    chat_template=template,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    **({"add_generation_prompt": True} | ending),
                    sanitize_control_tokens=self.processor_escapes,
                    processor_kwargs=dict(arguments),
                    **extra,
                )
            )

        with template_errors(conversation):
            try:
                return encode(template)
            except NotImplementedError:  # LLaVA's template leaves the first token to the tokenizer: write it instead
                return encode("{{ bos_token }}" + template)

    def reports(self, processor: Any, media: Sequence[DecodedMedia], ids: Sequence[int]) -> tuple[MediaReport, ...]:
        """What became of each medium: its size as the user knows it, and its placeholder tokens in the prompt."""
        tokens = {kind: self.placeholder_ids(processor, kind) for kind in MODALITIES}
        runs = {
            found: self.runs(processor, found, [medium for medium in media if tokens[medium.kind] == found], ids)
            for found in set(tokens.values())
        }
        reports = []
        for medium in media:
            taken = [next(runs[tokens[medium.kind]], 0) for _ in range(self.runs_of(medium))]
            what = summary(medium.data, len(taken)) + sound_note(medium, hears="audio" in self.modalities)
            reports.append(MediaReport(medium.kind, medium.source, what, sum(taken)))
        return tuple(reports)

    def runs(
        self, processor: Any, placeholders: frozenset[int], media: Sequence[DecodedMedia], ids: Sequence[int]
    ) -> Iterator[int]:
        """How many of these placeholder tokens each run of the ``media`` they stand for takes, in order."""
        if self.image_end_token is not None and placeholders == self.placeholder_ids(processor, "image"):
            return closed_runs(ids, placeholders, processor.tokenizer.convert_tokens_to_ids(self.image_end_token))
        return placeholder_runs(ids, placeholders)

    def placeholder(self, processor: Any, kind: Modality) -> str | None:
        """What stands for a medium in the text of a prompt, where the template cannot say it."""
        token: str | None = getattr(processor, f"{kind}_token", None)
        return token

    def placeholder_ids(self, processor: Any, kind: Modality) -> frozenset[int]:
        """The token ids that stand for one kind of medium in a prompt, by the configuration, else by the processor."""
        configured = [self.config.get(name) for name in (f"{kind}_token_id", f"{kind}_token_index")]
        found = {int(token) for token in configured if token is not None}
        token = getattr(processor, f"{kind}_token_id", None)
        return frozenset(found or ({int(token)} if token is not None else ()))

    def runs_of(self, medium: DecodedMedia) -> int:
        """How many separate runs of placeholders one medium takes in the prompt."""
        match medium.data:
            case DecodedAudio() as audio:
                return len(self.windows(audio))
            case DecodedVideo(frames=frames):
                return len(frames)
            case _:
                return 1
