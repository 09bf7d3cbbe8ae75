"""Read, answer, again: from a terminal until the user leaves, or from a pipe until it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from .. import __version__
from ..constraint.cut import unfinished
from ..conversation.store import Store
from ..errors import MistralrsError, OptionError, OutOfMemory
from ..messages import Media
from ..start import Models
from ..terminal.console import Console, ReaderLeft, is_dumb
from ..terminal.libraries import quiet_libraries
from ..terminal.report import show_line
from ..wording import in_chat
from . import ChatRequest, picker
from .aliases import ALONE
from .answer import Interrupted
from .attachments import Staged
from .autosave import RESCUE
from .chat import Chat
from .commands import Draft, Exit, perform
from .interrupt import Ending
from .lines import read_lines, unfenced
from .model import options_of
from .names import name
from .server import ServerModels, require_server

if TYPE_CHECKING:
    from .prompt import Prompt


def run_chat(request: ChatRequest, console: Console, models: Models) -> int:
    """Hold a chat and return the exit code."""
    console.quiet, console.verbose = request.quiet, request.verbose and not request.quiet
    console.still = request.plain
    stdin = sys.stdin
    watched = console.stdout is not None and console.stdout.isatty()
    asked = request.question
    typing = asked is None and stdin is not None and stdin.isatty() and (watched or console.stderr.file.isatty())
    redraw = typing and not request.plain and not is_dumb()
    with quiet_libraries(verbose=console.verbose, bars=console.interactive), console.answer_only():
        chat = Chat(request, console, Store(), models, redraw=redraw)
        chat.piped = not typing
        if typing and request.json:
            raise request.unasked
        with Ending(chat.autosave.end, chat.autosave.keep_running) as ending:
            try:
                if typing:
                    gather(chat, request)
                    begin(chat, request)
                    return converse(chat, ending, plain=request.plain)
                if asked is not None:
                    gather(chat, request)
                    begin(chat, request)
                    ending.listen(interrupts=True)
                    return answer_one(chat, asked)
                lines = read_lines(stdin)
                first = next(lines, None)
                if first is None:
                    raise request.unasked
                gather(chat, request)
                begin(chat, request)
                ending.listen(interrupts=True)
                return answer_lines(chat, chain([first], lines))
            except Exit:
                return 0
            finally:
                if ending.number:
                    chat.autosave.keep_running()  # closing the model may take longer than there is
                else:
                    chat.close()


def gather(chat: Chat, request: ChatRequest) -> None:
    """What the command line names: a kept chat, and media. Raises what is wrong with them."""
    if request.choose:
        chat.conversation = chat.store.load(chosen(chat))
    elif request.resume is not None:
        chat.conversation = chat.store.load(request.resume) if request.resume else chat.store.latest()
    chat.staged = [Staged(page) for medium in request.media for page in chat.attachments.pages(medium)]
    if request.system is not None:
        chat.conversation.instruct(request.system)


def chosen(chat: Chat) -> str:
    """The id of the kept chat that the user chooses. Raises ``Exit`` where it is none, ``OptionError`` in a pipe."""
    name = picker.pick(chat.store.summaries(), chat.console, redraws=chat.redraw)
    if name is not None:
        return name
    if chat.redraw:
        raise Exit
    raise OptionError("--resume needs the id of one of these chats here.", "Choose one: mistralrs run --resume ID")


def begin(chat: Chat, request: ChatRequest) -> None:
    """Everything that must be right before the first question; the model itself is loaded meanwhile."""
    resumed = request.resume is not None and not request.named
    kept = chat.conversation.model if resumed else {}
    if (address := request.attach.server) is not None:
        chat.model.models = server = ServerModels(address)
        chat.open(server.chosen(request.model, kept, named=request.named), request.kind)
        return
    require_server(kept)
    options = options_of(chat.conversation, request.model) if resumed else request.model
    if request.sampling.template_inputs:
        models = chat.model.models
        models.processor(models.open(options), options, request.sampling)
    chat.open(options, request.kind)
    if not request.named and request.resume is None:
        chat.console.note("using the bundled demo model; choose another with -m MODEL")


def converse(chat: Chat, ending: Ending, *, plain: bool) -> int:
    """A chat with a person. Nothing but the person ends it."""
    from .prompt import Prompt

    if threading.current_thread() is threading.main_thread() and sys.platform != "win32":
        signal.set_wakeup_fd(-1)  # from here on Ctrl-C does not end the process
    prompt = Prompt(chat, plain=plain)
    chat.no_echo, chat.released = prompt.keyboard.listening, prompt.keyboard.released
    prompt.keyboard.hold()
    try:
        greet(chat)
        answer_prompts(chat, prompt, ending)
    finally:
        prompt.keyboard.close()
    if chat.conversation.turns and chat.autosave.failure is None:
        there = "" if chat.model.server is None else f" --server {chat.model.server.address}"
        chat.console.note("saved; resume with:", command=f"mistralrs run --continue{there}")
    return 0


def answer_prompts(chat: Chat, prompt: Prompt, ending: Ending) -> None:
    """Read a line and do what it says, until the user leaves."""
    begun = ""
    while True:
        try:
            line = prompt.read(begun)
        except EOFError:
            if may_leave(chat):
                return
            begun = ""
            continue
        except KeyboardInterrupt:  # before the keyboard was ours
            begun = ""
            continue
        ending.listen()
        try:
            begun = submit(chat, ALONE.get(line.strip().lower(), line))
        except KeyboardInterrupt:
            begun = line
        except Exit:
            if may_leave(chat):
                return
            begun = ""


def may_leave(chat: Chat) -> bool:
    """Whether nothing is lost by leaving, or the user was reminded of it."""
    if chat.autosave.may_discard(chat.conversation, "leave"):
        return True
    chat.console.error(str(chat.autosave.failure), f"{RESCUE}; Ctrl-D again leaves without it.")
    return False


def submit(chat: Chat, line: str) -> str:
    """Do what a line says; what is left to edit, which is the line itself where that went wrong."""
    sent = line
    try:
        draft = dispatch(chat, line)
        if draft is not None and draft.send:
            sent = draft.text
            chat.ask(sent, replacing=True)
            return ""
        return draft.text if draft else ""
    except (Exit, ReaderLeft):
        raise
    except (KeyboardInterrupt, Interrupted):
        chat.console.note("stopped; edit the question or send it again")
    except Exception as error:
        show(error, chat.console)
    go_back(chat)
    return sent


def go_back(chat: Chat) -> None:
    """After a ``/model`` that could not be loaded the one before it answers again."""
    try:
        if chat.go_back():
            chat.console.note(f"{chat.model.title} is loaded again")
    except Exception as error:
        show(error, chat.console)


def dispatch(chat: Chat, line: str) -> Draft | None:
    """A command, a question, or nothing. A path that begins with a slash is no command."""
    if not line.strip():
        if chat.staged and not chat.piped:
            chat.console.note("media are attached: type a question, or /drop all")
        return None
    if line.startswith("/") and is_command(chat, line):
        return perform(chat, line)
    chat.ask(unfenced(line))
    return None


def is_command(chat: Chat, line: str) -> bool:
    """Whether a line with a slash first is a command: the paths of files, and what looks like one, are not."""
    parts = chat.attachments.mentioned(line, chat.model.family).parts
    if parts and isinstance(parts[0], Media):
        return False
    return "/" not in line.split(maxsplit=1)[0][1:]


def show(error: Exception, console: Console, *, piped: bool = False) -> None:
    """Say what went wrong, and what to type: options where lines are ``piped``, else commands of the chat."""
    match error:
        case MistralrsError():
            pass
        case MemoryError():
            error = OutOfMemory(
                "There is not enough memory for this.", "Send fewer or smaller media: /set max_edge 768"
            )
        case _:
            error = MistralrsError(
                f"unexpected error: {type(error).__name__}: {error}",
                "The chat goes on. MISTRALRS_DEBUG=1 shows the traceback; please report it.",
            ).with_traceback(error.__traceback__)
    if os.environ.get("MISTRALRS_DEBUG") == "1":
        import traceback

        console.trace("".join(traceback.format_exception(error)))
    text = "\n".join(filter(None, (error.message, error.hint)))
    text = text if piped else in_chat(text)
    message, _, hint = text.rpartition("\n") if error.hint else (text, "", "")
    console.error(message, hint or None)


def greet(chat: Chat) -> None:
    """A greeting, and the last turn of a chat that is resumed."""
    if chat.quiet:
        return
    at = "" if chat.model.server is None else f" at {chat.model.server.address}"
    words = f"{chat.model.title}{at}. /help lists the commands, Ctrl-D leaves."
    room = chat.console.room
    whole = f"mistralrs {__version__}, {words}"
    short = words.replace(" the commands", " all")
    chat.console.show(next((line for line in (whole, words) if room is None or len(line) <= room), short), dim=True)
    if chat.conversation.turns:
        last = chat.conversation.last
        count = len(chat.conversation.turns)
        chat.console.show(f"{count} turn{'s' if count > 1 else ''} of “{chat.conversation.title}”; the last:", dim=True)
        chat.console.show(f"> {last.typed}")
        for line in (line for one in last.rounds for line in one.lines):
            chat.console.show(line, dim=True)
        if last.answer:
            chat.console.show(last.answer)
        if last.cut:
            chat.console.show("(stopped here; /retry asks again)", dim=True)
    for number, item in enumerate(chat.staged, start=1):
        chat.console.show(f"[{number}] {name(item.medium.source)} {item.gets} is attached", dim=True)


def answer_lines(chat: Chat, lines: Iterable[str]) -> int:
    """Answer each line of a pipe; one that fails is reported and the next is answered. The first failure's code."""
    code = 0
    for line in lines:
        chat.ended = None
        try:
            draft = dispatch(chat, line)
            if draft is not None and draft.send:
                chat.ask(draft.text, replacing=True)
            if (cut := cut_short(chat)) is not None:
                show(cut, chat.console, piped=True)
                code = code or cut.exit_code
        except Exit:
            break
        except Interrupted as error:
            raise KeyboardInterrupt from error
        except MistralrsError as error:
            failed = refuse(error, chat)
            code = code or failed
        go_back(chat)
        if chat.stopped:
            raise KeyboardInterrupt
    if not chat.autosave.may_discard(chat.conversation, "leave"):
        chat.console.error(str(chat.autosave.failure), f"{RESCUE}.")
    return code


def answer_one(chat: Chat, question: str) -> int:
    """Answer the one question of a shell command. Raises what goes wrong."""
    chat.one = True
    try:
        chat.ask(question)
    except Interrupted as error:
        raise KeyboardInterrupt from error
    if chat.stopped:
        raise KeyboardInterrupt
    if not chat.autosave.may_discard(chat.conversation, "leave"):
        return 1  # the failure was reported
    if (cut := cut_short(chat)) is not None:
        raise cut
    return 0


def cut_short(chat: Chat) -> MistralrsError | None:
    """The error for a constrained answer that was cut."""
    return None if chat.ended is None else unfinished(chat.settings.sampling.grammar, chat.ended)


def refuse(error: MistralrsError, chat: Chat) -> int:
    """Say why a line was not answered, in an object of its own where lines are objects, and return the exit code."""
    if chat.json:
        hint = {} if error.hint is None else {"hint": error.hint}
        show_line({"error": error.message, **hint, "exit_code": error.exit_code}, chat.console)
    show(error, chat.console, piped=True)
    return error.exit_code
