"""What a speech model would be given of recordings, and how it would be loaded: no weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..messages import MediaBytes, TextFile
from ..options import MediaPolicy, ModelOptions
from ..sizes import readable
from ..start import Models
from ..terminal.console import Console
from ..terminal.report import Detail, HeardMedium, SpeechReport, show_object, show_speech, speech_object

if TYPE_CHECKING:
    from ..loading import Checkpoint


def report_speech(
    checkpoint: Checkpoint,
    options: ModelOptions,
    media: Sequence[MediaBytes | TextFile],
    policy: MediaPolicy,
    console: Console,
    models: Models,
    *,
    json: bool,
) -> None:
    """Show the windows that ``mistralrs transcribe`` would cut recordings into, and the plan for the weights."""
    recordings = [each for each in media if isinstance(each, MediaBytes)]
    with console.status("Reading the audio", len(recordings)) as status:
        heard = []
        for recording in recordings:
            heard.append(measured(recording, checkpoint, policy))
            status.advance()
    found = SpeechReport(checkpoint.name, checkpoint.family.name, tuple(heard), weights(checkpoint, options, models))
    if json:
        show_object(speech_object(found), console)
    else:
        show_speech(found, console)


def measured(recording: MediaBytes, checkpoint: Checkpoint, policy: MediaPolicy) -> HeardMedium:
    """How long a recording is, and what of it is speech. Raises ``MediaError`` where there is no sound in it."""
    from ..media.audio_stream import open_audio_stream
    from ..speech.transcribe import SpeechOptions, windows_of
    from ..speech.transcript import Transcript

    family = checkpoint.family
    cutting = SpeechOptions().cutting(model_times=family.speech_times)
    with open_audio_stream(recording, family.audio_rate, policy) as audio:
        windows = windows_of(audio.blocks, family.audio_rate, cutting, transcript := Transcript())
        speech = [window.end - window.start for window in windows]
    return HeardMedium(recording.source, transcript.seconds, len(speech), sum(speech))


def weights(checkpoint: Checkpoint, options: ModelOptions, models: Models) -> tuple[Detail, ...]:
    """The size of the weights and where they would lie; nothing where they are not on this machine."""
    layout = models.plan(checkpoint, options)
    if layout is None:
        return ()
    size, placement = layout.need.weights, layout.placement
    return (
        Detail("placement", placement.summary, {"layers": placement.layers, "rest": placement.rest}),
        Detail("weights", readable(size), size),
    )
