"""A chat with the model of a server (``--server``): what it needs of a checkpoint, a family and an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from ..attach.server import OWNER, ServerEngine, ServerStream, at
from ..errors import ModelNotFound, OptionError
from ..media.served import as_sent
from ..messages import MODALITIES, MediaBytes, Message, Modality, Part
from ..options import AttachOptions, ModelOptions, Sampling, Tools
from ..start import Models, check_kind

if TYPE_CHECKING:
    from ..attach.engine import Watch
    from ..engine import Engine
    from ..loading import Checkpoint


@dataclass(frozen=True, slots=True)
class ServerFamily:
    """What a server says of its model. One that does not say what it reads is sent everything."""

    name: str
    modalities: frozenset[Modality]
    context_length: int | None


class ChatServer(ServerEngine):
    """The model ``model`` of a server, with what a chat asks of an engine."""

    def __init__(self, address: str, model: str, context_length: int | None = None) -> None:
        super().__init__(address, model)
        self.info = SimpleNamespace(context_length=context_length, notes=())

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        tools: Tools | None = None,
        *,
        watch: Watch | None = None,
    ) -> ServerStream:
        """Answer a conversation whose media have their bytes, which are sent in forms that the server reads."""
        sent = [replace(message, parts=tuple(self._sent(message.parts))) for message in messages]
        return super().stream(sent, sampling, tools, watch=watch)

    def _sent(self, parts: Sequence[Part]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, MediaBytes):
                yield from as_sent(part, self.policy, ours=self.ours)
            else:
                yield part


class ServerModels(Models):
    """The models of a server, in place of those that are loaded here. Raises ``OptionError`` for a bad address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        with ServerEngine(address, "") as server:
            self.address = server.address

    @cached_property
    def listed(self) -> tuple[Mapping[str, Any], ...]:
        """What the server says of its models; nothing where it has no such list.

        Raises ``EngineDown`` where it does not answer, and ``ModelAccessDenied`` without the key that it wants.
        """
        with ServerEngine(self.address, "") as server:
            return server.listed()

    @property
    def names(self) -> list[str]:
        """What its models are called."""
        return [str(model["id"]) for model in self.listed if "id" in model]

    def check(self, options: ModelOptions) -> tuple[str, ...]:
        """Raise ``OptionError`` for options on loading, and ``ModelNotFound`` for a model that the server lacks.

        A server that is not of this project may have more names than it lists, so that one is only noted.
        """
        at(options, AttachOptions(server=self.address), named=True).close()
        if not self.names or options.model_id in (*self.names, "default"):
            return ()
        there = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
        if any(model.get("owned_by") == OWNER for model in self.listed):
            raise ModelNotFound(f"{self.address} has no model {options.model_id}.", f"It has {there}: -m NAME")
        return (f"{self.address} lists no model {options.model_id}, but {there}",)

    def open(self, options: ModelOptions, kind: str | None = None, *, speech: bool = False) -> Checkpoint:
        """What is known of one of its models. Raises ``UnsupportedModel`` where it is not of the ``kind`` wanted."""
        said = next((model for model in self.listed if model.get("id") == options.model_id), {})
        reads = said.get("input_modalities")
        modalities = frozenset(kind for kind in MODALITIES if reads is None or kind in reads)
        length = said.get("max_model_len")
        family = ServerFamily(options.model_id, modalities, length if isinstance(length, int) else None)
        check_kind(options.model_id, modalities, kind)
        found: Any = SimpleNamespace(name=options.model_id, family=family, repository=None)
        return cast("Checkpoint", found)  # as far as a chat looks into one

    def processor(self, checkpoint: Checkpoint, options: ModelOptions, sampling: Sampling | None = None) -> Any:
        """None: what its template reads, the server knows."""

    def attach(self, options: ModelOptions, how: AttachOptions, note: object = None) -> None:
        """None: the server answers."""

    def start(self, checkpoint: Checkpoint, options: ModelOptions, **given: Any) -> Engine:
        """The server, as an engine."""
        found: Any = ChatServer(self.address, options.model_id, checkpoint.family.context_length)
        return cast("Engine", found)  # it has what a chat uses of one

    def remembered(self, options: ModelOptions) -> dict[str, Any]:
        """What is saved of it with a conversation."""
        return {"model_id": options.model_id, "server": self.address}

    def chosen(self, options: ModelOptions, kept: Mapping[str, Any], *, named: bool) -> ModelOptions:
        """The options with the model that is meant: the named one, that of the kept conversation, or the first."""
        if not named:
            same = kept.get("server") == self.address and "model_id" in kept
            name = str(kept["model_id"]) if same else (self.names or ["default"])[0]
            return replace(options, model_id=name)
        return options


def require_server(kept: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` for a conversation that was held with a server, which is asked only where that is said."""
    if "server" in kept:
        raise OptionError(
            f"This chat was held with {kept.get('model_id')} at {kept['server']}.",
            f"To go on there: --server {kept['server']}; or with a model here: -m NAME",
        )
