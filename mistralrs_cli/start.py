"""From options to a running engine: the one way that every face takes, and where a test puts another model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from .errors import UnsupportedModel
from .options import AttachOptions, ModelOptions, Sampling

if TYPE_CHECKING:
    from .attach import AttachedEngine
    from .engine import Engine
    from .loading import Checkpoint
    from .loading.memory_plan import MemoryPlan
    from .loading.quantization.loader import Progress


class Models:
    """Finds checkpoints and starts engines on them. Faces get one as an argument; nothing here keeps state.

    The steps are apart so that a face may report bad options and media before anything large is read. ``own_process``
    says that no other program shares this process, so that less of torch and transformers is imported.
    """

    def __init__(self, *, own_process: bool = False) -> None:
        self.own_process = own_process

    def prepare_imports(self) -> None:
        """Import torch and torchvision, and transformers, without what no answer needs."""
        from .loading.torchvision import ensure_importable, leave_distributed_out

        if self.own_process:
            leave_distributed_out()
        else:
            ensure_importable()

    def check(self, options: ModelOptions) -> tuple[str, ...]:
        """Raise ``OptionError`` for options that cannot work; returns notes for the user. Reads no checkpoint."""
        from .loading import check

        return check(options)

    def open(self, options: ModelOptions, kind: str | None = None, *, speech: bool = False) -> Checkpoint:
        """Find a checkpoint and read its configuration, without its weights.

        Raises ``ModelError`` for what cannot be found or run, is not of the ``kind`` that the user named, or only
        transcribes, where not ``speech`` is asked for.
        """
        from .families.speech import require_questions
        from .loading import open_checkpoint

        checkpoint = open_checkpoint(options)
        if not speech:
            require_questions(checkpoint.name, checkpoint.family)
        require_kind(checkpoint, kind)
        return checkpoint

    def processor(self, checkpoint: Checkpoint, options: ModelOptions, sampling: Sampling | None = None) -> Any:
        """A checkpoint's processor with its chat template.

        Raises ``OptionError`` where ``sampling`` has inputs that the template does not read.
        """
        from .loading import load_processor

        self.prepare_imports()
        processor = load_processor(checkpoint, options)
        if sampling is not None and sampling.template_inputs:
            from .engine.template_inputs import check_template_inputs

            check_template_inputs(SimpleNamespace(name=checkpoint.name, processor=processor), sampling)
        return processor

    def plan(self, checkpoint: Checkpoint, options: ModelOptions) -> MemoryPlan | None:
        """Where ``start`` would put the weights; ``None`` where they are not on this machine."""
        from .loading import plan

        return plan(checkpoint, options)

    def attach(
        self, options: ModelOptions, how: AttachOptions, note: Callable[[str], None] = lambda text: None
    ) -> AttachedEngine | None:
        """An engine of this user that runs already and has loaded what ``options`` ask for.

        ``note`` gets what is worth knowing of one that has ended.
        """
        if not how.attach:
            return None
        from .attach import attach

        return attach(options, how, note)

    def keep(
        self,
        options: ModelOptions,
        how: AttachOptions,
        *,
        kind: str | None = None,
        speech: bool = False,
        verbose: bool = False,
        bars: bool = False,
    ) -> AttachedEngine:
        """Start an engine in a process of its own, which stays for ``how.keep`` idle seconds.

        ``bars`` are shown on stderr while it loads, and with ``verbose`` what libraries say. Raises what ``open``
        does, and ``OptionError`` where an engine cannot be kept.
        """
        from .attach import start

        return start(options, how, kind=kind, speech=speech, verbose=verbose, bars=bars)

    def start(
        self,
        checkpoint: Checkpoint,
        options: ModelOptions,
        *,
        prefixes: int = 0,
        processor: Any = None,
        progress: Progress | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
        share: float = 1.0,
    ) -> Engine:
        """Load a model and start its engine, which the caller closes.

        ``prefixes`` conversations are kept in its cache; ``processor`` is used where ``self.processor`` made it
        already. ``progress`` is called as weights are quantized, ``on_failure`` with failures that end all requests.
        ``share`` is how much of the memory for caches it may take, where other models want the rest.
        Raises ``ModelError`` and its kinds.
        """
        self.prepare_imports()
        from .engine import Engine
        from .loading import load

        if checkpoint.family.transcribes:
            from .engine.speech import SpeechEngine
            from .loading.speech import load_speech

            speech: Any = SpeechEngine(
                load_speech(checkpoint, options), max_rows=options.max_seqs, on_failure=on_failure
            )
            return cast("Engine", speech)  # as far as speech goes
        loaded = load(checkpoint, options, progress, processor)
        return Engine(
            loaded,
            max_rows=options.max_seqs,
            prefixes=prefixes,
            kv_cache_type=options.kv_cache_type,
            on_failure=on_failure,
            share=share,
        )


def require_kind(checkpoint: Checkpoint, kind: str | None) -> None:
    """Raise ``UnsupportedModel`` for a text model where ``kind`` is ``multimodal`` or ``vision``."""
    check_kind(checkpoint.name, checkpoint.family.modalities, kind)


def check_kind(name: str, modalities: Collection[str], kind: str | None) -> None:
    """The same for a model by its name and what it reads beside text."""
    if kind in ("multimodal", "vision") and not modalities:
        raise UnsupportedModel(f"{name} reads text only.", f"Leave out the word {kind}, or name another model with -m.")
