"""The model a chat is held with: the one that answers or is on its way, and the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..conversation import Conversation
from ..conversation.model import UNSAVED, saved_options
from ..errors import OptionError
from ..options import AttachOptions, ModelOptions, short_name
from ..start import Models
from ..terminal.console import Console
from .interrupt import Interruptible
from .loading import Loading, fetched
from .server import ServerModels

if TYPE_CHECKING:
    from ..engine import Engine
    from ..families import Family
    from ..loading import Checkpoint


class ChatModel:
    """Loads one model after the other; ``changed`` is called when one is there, or could not be loaded."""

    def __init__(
        self, console: Console, models: Models, changed: Callable[[], None], how: AttachOptions | None = None
    ) -> None:
        self.console = console
        self.models = models
        self.changed = changed
        self.how = how
        self.loading: Loading | None = None
        self.former: ModelOptions | None = None  # of the model before, for when this one cannot be loaded

    def find(self, options: ModelOptions, kind: str | None) -> Checkpoint:
        """The checkpoint that is meant, its weights not yet read. ``kind`` is the word before the model's options.

        Raises ``ModelError``.
        """
        for notice in self.models.check(options):
            self.console.note(notice)
        with self.console.status(f"Opening {options.model_id}", animated=False):
            return self.models.open(options, kind)

    def load(self, checkpoint: Checkpoint, options: ModelOptions) -> None:
        """Begin to load it; the model before is closed once the weights of this one are on the machine."""
        checkpoint = fetched(checkpoint, options)
        self.close()
        self.loading = Loading(checkpoint, options, self.models, self.changed, self.how)
        if self.server is not None:
            self.loading.wait()  # nothing is loaded here

    @property
    def server(self) -> ServerModels | None:
        """The server whose models answer; ``None`` where they are loaded here."""
        return self.models if isinstance(self.models, ServerModels) else None

    def remembered(self, options: ModelOptions) -> dict[str, Any]:
        """What is saved of the model with a conversation."""
        return saved_options(options) if self.server is None else self.server.remembered(options)

    @property
    def begun(self) -> Loading:
        """The loading, which every chat begins with."""
        assert self.loading is not None
        return self.loading

    @property
    def family(self) -> Family:
        """What reads media and messages for it."""
        return self.begun.checkpoint.family

    @property
    def name(self) -> str:
        """What it is called."""
        return self.begun.checkpoint.name

    @property
    def title(self) -> str:
        """What a person calls it: the last part of a folder's path, or its name on the hub."""
        return title(self.begun.checkpoint)

    @property
    def place(self) -> str:
        """Its name on the hub or at a server, or the path of its folder, the home folder as ``~``."""
        if self.server is not None:
            return f"{self.name} at {self.server.address}"
        home = str(Path.home())
        return f"~{self.name[len(home) :]}" if self.name.startswith(f"{home}/") else self.name

    @property
    def engine(self) -> Engine | None:
        """The engine, if it is there already."""
        return self.begun.engine

    @property
    def failed(self) -> bool:
        """Whether it could not be loaded."""
        return self.begun.error is not None

    @property
    def context(self) -> int | None:
        """How many tokens it holds."""
        return self.family.context_length if self.engine is None else self.engine.info.context_length

    @property
    def usable(self) -> ModelOptions | None:
        """The options of the last model that was not found to fail."""
        return self.former if self.failed else self.begun.options

    def renamed(self, name: str) -> ModelOptions:
        """The same options for another model, without those that fit one checkpoint only."""
        return replace(
            self.begun.options,
            model_id=name,
            revision=None,
            tokenizer=None,
            chat_template=None,
            jinja_explicit=None,
            arch=None,
            topology=None,
            matformer_config_path=None,
            matformer_slice_name=None,
            trust_remote_code=False,
        )

    def wait(self) -> Engine:
        """The engine, once it is there. Raises what loading has raised."""
        if getattr(self.engine, "lost", False):  # one in another process
            self.console.note(f"the engine of {self.title} has ended or does not respond; loading the model here")
            begun = self.begun
            begun.close()
            self.loading = Loading(begun.checkpoint, begun.options, self.models, self.changed)
        if self.engine is not None:
            return self.engine
        if self.console.still:
            self.console.note(f"loading {self.title}")
        with Interruptible(), self.console.status(f"Loading {self.title}"):
            return self.begun.wait()

    def count(self, text: str, pieces: int) -> int:
        """The tokens of an answer that was cut, which came in so many ``pieces``."""
        return pieces if self.engine is None or self.server is not None else self.engine.count(text)

    def close(self) -> None:
        """Close the engine, or stop its loading."""
        if self.loading is not None:
            self.loading.close()


def title(checkpoint: Checkpoint) -> str:
    """What a person calls a checkpoint."""
    folder = Path(checkpoint.name).expanduser()
    return short_name(str(folder.absolute())) if folder.is_dir() else checkpoint.name


def options_of(conversation: Conversation, given: ModelOptions) -> ModelOptions:
    """The options a conversation was held with, where the command line names no model of its own."""
    known = {known.name for known in fields(ModelOptions)} - UNSAVED
    remembered = {key: value for key, value in conversation.model.items() if key in known}
    try:
        return replace(given, **remembered)
    except TypeError as error:
        raise OptionError("The saved model options of this chat are not valid.", "Name one: -m MODEL") from error
