"""What options are where the command line does not say: of the environment, else of ``config.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer import BadParameter
from typer.core import TyperOption

from ..errors import OptionError
from ..options import DEMO_MODEL
from .config_file import EDIT, PRESETS, ConfigFile, Layer, is_secret
from .config_names import IN_PRESETS, check_names, not_taken, require_preset
from .config_values import by_key, from_toml, from_variable, key_of, plain
from .params.option import HARDWARE, MODEL

PREFIX = "MISTRALRS_"
CLIENT_KEY = "api_key"
"""The option that no variable sets: ``MISTRALRS_API_KEY`` is the key that ``--server`` is sent."""

STANDARD = {
    "hf_cache": ("HF_HUB_CACHE", "HF_HOME"),
    "token_source": ("HF_TOKEN",),
    "threads": ("OMP_NUM_THREADS",),
}
"""Variables of other programs that say the same as an option: they win over the file."""

RIVALS = tuple(
    frozenset(names.split())
    for names in (
        "quant isq",
        "tokenizer tok_model_id",
        "keep no_attach server",
        "video_frames video_fps",
        "json_schema regex grammar",
        "thinking reasoning_effort",
        "disable_local_files allowed_media_path",
        "pair per_row",
    )
)
"""Options of which one takes the place of the others: a default never stands against what is given."""

LOADING = (MODEL, HARDWARE)
MACHINE = {"token_source", "hf_cache", "threads", "max_seqs"}
"""Options on loading that are not saved with a chat."""

NAMED_FILES = {"FILE", "DIR", "PATH"}
BUNDLED = {"chat_template", "jinja_explicit", "matformer_config_path"}


@dataclass(frozen=True)
class Found:
    """The value of an option, and where it comes from: ``config.toml, line 3``, or a variable's name."""

    key: str
    value: Any
    source: object
    in_file: bool = True

    @property
    def hidden(self) -> bool:
        """Whether the value must not be shown."""
        return is_secret(self.key, self.value)


class Defaults:
    """The defaults of one command. ``given`` are the options of its command line, by key, with their values.

    ``root`` has all commands; in the ``context`` of the command values are checked.
    """

    def __init__(
        self,
        command: Sequence[str],
        parameters: Iterable[Any],
        file: ConfigFile,
        given: Mapping[str, Any],
        environment: Mapping[str, str],
        context: Any,
        root: Any,
    ) -> None:
        self.command = tuple(command)
        self.file = file
        self.given = given
        self.environment = environment
        self.context = context
        self.root = root
        self.options = by_key(parameters)
        self.named = given.get("model_id") or environment.get(f"{PREFIX}MODEL_ID")
        resumes = bool(given.get("continue")) or given.get("resume") is not None
        self.kept = resumes and not self.named  # a chat that goes on brings its own model

    def found(self) -> dict[str, Found]:
        """A value for each option that has one and is not given, by its parameter's name.

        Raises ``OptionError`` for a name that the file may not hold and a value that its option does not take.
        """
        taken = {key: 0 for key, value in self.given.items() if value is not None}
        counts = {key for key in taken if self.given[key] not in (False, None)}
        found: dict[str, Found] = {}
        check_names(self.file, self.command, self.options, self.root)
        for number, layer in enumerate([self._variables(), *map(self._checked, self._layers())], 1):
            before = dict(taken)
            for value in layer:
                key, option = value.key, self.options[value.key]
                rivals = {other for group in RIVALS if key in group for other in group} - {key}
                rivals |= {"server"} if option.rich_help_panel in LOADING else set()
                if key in before or any(before.get(each, number) < number and each in counts for each in rivals):
                    continue
                taken[key] = number
                if value.value not in (False, None):
                    counts.add(key)
                if value.value is not None:
                    found[option.name or key] = value
        return found

    def _variables(self) -> list[Found]:
        """What the environment sets. A variable of another program has no value here."""
        found: list[Found] = []
        for key, option in self.options.items():
            name = PREFIX + key.upper()
            text = self.environment.get(name)
            if text and key != CLIENT_KEY and key != IN_PRESETS and key == key_of(option):
                value = self._value(option, from_variable(option, text, name), name)
                found.append(Found(key, value, name, in_file=False))
            elif any(self.environment.get(other) for other in STANDARD.get(key, ())):
                found.append(Found(key, None, ""))
        return found

    def _layers(self) -> list[Layer]:
        preset = self.given.get("preset")
        if preset is not None:
            require_preset(self.file, preset)
        return self.file.layers(self.command, self._model(preset), preset)

    def _model(self, preset: str | None) -> str | None:
        """The model whose table counts."""
        if self.named or self.kept:
            return one_of(self.named)
        layers = self.file.layers(self.command, None, preset)
        entries = (each for layer in layers for each in layer.entries.items())
        return next((one_of(value) for name, value in entries if plain(name) == "model_id"), DEMO_MODEL)

    def _checked(self, layer: Layer) -> list[Found]:
        """The entries of a table that this command takes, with the types of its options."""
        found: list[Found] = []
        for name, value in layer.entries.items():
            option = self.options.get(plain(name))
            if option is None:
                if layer.keys[:1] == (PRESETS,) or (self.command and layer.keys[-len(self.command) :] == self.command):
                    raise not_taken(self.file, (*layer.keys, name), self.command, self.options, self.root)
                continue
            key = key_of(option)
            if self.kept and (key == "system" or (option.rich_help_panel in LOADING and key not in MACHINE)):
                continue
            place = self.file.place((*layer.keys, name))
            typed = self._value(option, self._located(key, option, from_toml(option, value, name, place)), place, name)
            found.append(Found(key, typed, place))
        return found

    def _located(self, key: str, option: TyperOption, value: Any) -> Any:
        """Paths as they are from the folder of the file."""
        if isinstance(value, list):
            return [self._located(key, option, each) for each in value]
        if not isinstance(value, str) or not value:
            return value
        near = value.startswith(("./", "../", "~")) and key in ("model_id", "tok_model_id")
        if option.metavar not in NAMED_FILES and not near:
            return value
        beside = self.file.path.parent / Path(value).expanduser()
        return value if key in BUNDLED and not beside.exists() else str(beside)

    def _value(self, option: TyperOption, value: Any, source: object, name: str | None = None) -> Any:
        """A value as the option's command gets it."""
        try:
            return option.process_value(self.context, value)
        except BadParameter as error:
            from .usage import wanted

            shown = source if name is None else f"{source}: {name}"
            raise OptionError(f"{shown} {wanted(error)}", EDIT if name else f"Change {source}, or unset it.") from error


def one_of(named: Any) -> str | None:
    """The one model that is named; ``None`` where there are several, or none."""
    names = named if isinstance(named, list) else [named]
    if len(names) != 1 or not names[0]:
        return None
    if not isinstance(named, list) or "@" not in names[0]:
        return str(names[0])
    from ..registry.given import name_and_options

    return name_and_options(names[0])[0]
