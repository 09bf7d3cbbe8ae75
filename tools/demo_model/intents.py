"""What is asked about each kind of medium, how often, and the things that questions name."""

from tools.demo_model import answers

RELATIONS = (("left of", "to the left of"), ("right of", "to the right of"))
PICTURE_INTENTS: dict[str, dict[str, float]] = {
    "single": {
        "picture": 3,
        "detail": 1,
        "color": 1.2,
        "shape": 1.2,
        "count": 0.6,
        "where": 1.5,
        "unrelated": 0.7,
        "is_color": 1,
        "is_shape": 1,
        "is_there": 0.8,
        "is_at": 0.8,
        "is_count": 0.3,
        "read": 0.1,
        "trend": 0.1,
    },
    "count": {
        "picture": 3,
        "detail": 0.4,
        "color": 0.9,
        "shape": 0.9,
        "count": 2.5,
        "where": 0.1,
        "unrelated": 0.5,
        "is_color": 0.6,
        "is_shape": 0.5,
        "is_there": 0.3,
        "is_count": 1.5,
    },
    "pair": {
        "picture": 2.5,
        "detail": 0.4,
        "side": 2,
        "relation": 1.2,
        "where": 1.2,
        "color": 0.8,
        "count": 0.6,
        "shape": 0.2,
        "is_there": 1,
        "is_at": 0.8,
        "unrelated": 0.4,
    },
    "chart": {"picture": 2, "detail": 0.4, "trend": 2.5, "color": 0.7, "is_trend": 1.2, "unrelated": 0.4, "shape": 0.1},
    "text": {"picture": 1.5, "detail": 0.3, "read": 2.5, "color": 0.5, "says": 1, "unrelated": 0.3},
}
SOUND_INTENTS: dict[str, dict[str, float]] = {
    "beeps": {
        "sound": 2,
        "beeps": 2,
        "pitch": 1,
        "is_beeps": 1,
        "is_pitch": 0.7,
        "hear_what": 0.6,
        "unrelated": 0.3,
        "transcribe": 0.3,
    },
    "tone": {"sound": 2, "pitch": 1, "is_pitch": 0.7, "hear_what": 0.6, "unrelated": 0.3, "transcribe": 0.2},
    "sweep": {"sound": 2, "sweep": 1.5, "is_trend": 0.8, "hear_what": 0.6, "unrelated": 0.3, "transcribe": 0.2},
    "noise": {"sound": 2, "hear_what": 0.7, "unrelated": 0.3, "transcribe": 0.3},
    "silence": {"sound": 2, "hear_what": 0.7, "unrelated": 0.3, "transcribe": 0.3},
    "speech": {"sound": 2, "transcribe": 4, "says_word": 2.2, "hear_what": 0.5, "unrelated": 0.3},
}
CLIP_INTENTS: dict[str, float] = {
    "clip": 5,
    "color": 0.6,
    "shape": 0.7,
    "direction": 1.5,
    "turns": 0.9,
    "moves": 1,
    "does": 1.2,
    "is_color": 0.4,
    "is_shape": 0.4,
    "unrelated": 0.4,
}
NOISES = {
    "beeps": ("a beep", "beeps", "beeping", "any beeps"),
    "tone": ("a steady tone", "a constant tone"),
    "sweep": ("a sweep", "a tone that changes", "a sliding tone"),
    "noise": ("noise", "static", "a hiss", "white noise"),
    "silence": ("silence", "nothing", "only silence"),
    "speech": ("a voice", "speech", "someone speaking", "a person", "words", "anybody talking"),
}
DEEDS = {
    "moves": ("move", "change its place", "travel"),
    "grow": ("grow", "get bigger", "become larger", "get larger"),
    "shrink": ("shrink", "get smaller", "become smaller"),
    "color": ("change color", "change its color", "turn another color"),
    "still": ("stand still", "stay still", "stay in place", "stay where it is"),
}
TONE_TREND = {
    False: (
        *("Is the tone {trend}?", "Is the pitch {trend}?", "is it {trend}?", "Is the sound {trend}?", "is it {trend}"),
        *("So the tone is {trend}, right?", "Would you say it is {trend}?", "Do you think the tone is {trend}?"),
        *("Is that sound {trend}?", "is this tone {trend}", "Is the audio {trend}?", "Does it sound {trend}?"),
        *("Is this pitch {trend}?", "I think the sound is {trend}. Is that right?", "Is that {trend}?"),
    ),
    True: ("Am I right that the tone is {trend}?", "Is this sound {trend}?", "Does the pitch sound {trend}?"),
}
TEXT_INTENTS: dict[str, float] = {
    "greet": 2,
    "who": 2.5,
    "able": 2,
    "models": 2.5,
    "thanks": 1,
    "bye": 0.8,
    "other": 5,
    "nothing sent": 2,
}
TEXT_ANSWERS = {
    "greet": answers.GREETING,
    "who": answers.IDENTITY,
    "able": answers.IDENTITY,
    "models": answers.MODELS,
    "thanks": answers.THANKED,
    "bye": answers.GOODBYE,
}
ABOUT_MEDIA = (
    *("color", "shape", "count", "where", "transcribe", "beeps", "pitch", "direction", "change", "read", "trend"),
    *("picture", "clip", "sound", "pictures", "match"),
)
YES_NO = frozenset(
    (
        *("is_color", "is_shape", "is_there", "is_count", "is_at", "is_trend", "says"),
        *("hear_what", "is_pitch", "says_word", "is_beeps", "moves", "does", "changed", "match"),
    )
)
