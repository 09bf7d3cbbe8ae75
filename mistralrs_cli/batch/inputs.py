"""From what a user names to rows: files, folders, patterns, lists and tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import MediaDecodeError, MistralrsError, OptionError
from ..media.suffixes import TEXTS, suffix_of
from ..messages import MediaOptions, MediaRef, Message, Modality, Part, Text, TextFile
from ..options import DEFAULT_INSTRUCTION
from .bodies import batch_line, is_batch_line, request
from .columns import columns_media, prompt_of
from .files import ADDRESS, files_of, kind_by_name
from .records import Format, Record, guessed, records, table_format
from .rows import Row
from .template import check_template, filled

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of every row.

    ``template`` is the prompt, ``media`` come before a row's own. ``per_row`` files after each other make a row; with
    ``pair`` every word named is one side, and files of the same name belong together.
    """

    template: str | None = None
    system: str | None = None
    media: tuple[MediaRef, ...] = ()
    options: MediaOptions = field(default_factory=MediaOptions)
    per_row: int = 1
    pair: bool = False

    def messages(self, parts: Sequence[Part], text: str, system: str | None = None) -> tuple[Message, ...]:
        """A question: the media of all rows, the row's own parts, and the words."""
        said = text if text.strip() or not (parts or self.media) else DEFAULT_INSTRUCTION
        user = Message("user", (*self.media, *parts, Text(said)))
        system = self.system if system is None else system
        return (user,) if system is None else (Message("system", (Text(system),)), user)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table: the name that ids begin with, its file, and its form."""

    shown: str
    path: Path
    form: Format


class Inputs:
    """The rows of some words, as often as they are gone through; tables are read once more each time.

    ``-`` is a list on ``stdin``. Raises ``MediaNotFound`` for files that are not there and patterns that match
    nothing, and ``OptionError`` where words and options make no sense together.
    """

    def __init__(
        self, words: Sequence[str], ask: Ask, *, form: Format | None = None, stdin: BinaryIO | None = None
    ) -> None:
        self.ask = ask
        self._spool: IO[bytes] | None = None
        if ask.template is not None:
            check_template(ask.template)
        if not words:
            raise OptionError("There is no input.", "Name files, folders, patterns, a table, or - for a list on stdin.")
        if words.count(STDIN) > 1:
            raise OptionError("stdin can be read once only.", "Write - once.")
        self._sources = [source for word in words for source in self._opened(word, form, stdin)]
        if ask.pair and len(self._sources) < 2:
            raise OptionError("--pair takes two or more inputs.", "For example: --pair 'before/*.jpg' 'after/*.jpg'")

    def _opened(self, word: str, form: Format | None, stdin: BinaryIO | None) -> Iterator[_Table | list[str]]:
        if word == STDIN:
            yield from self._listed(form, stdin)
            return
        found = files_of(word)
        if form == "paths":
            yield from (lines_of(Path(path).read_bytes()) for path in found)
            return
        tables = [path for path in found if is_local(path) and (form or table_format(path))]
        if not tables:
            yield found
            return
        if self.ask.pair or self.ask.per_row > 1:
            raise OptionError(f"--pair and --per-row are for files, and {tables[0]} is a table.", "Leave them out.")
        for path in found:
            table = form or table_format(path)
            yield [path] if table is None else _Table(path, Path(path), table)

    def _listed(self, form: Format | None, stdin: BinaryIO | None) -> Iterator[_Table | list[str]]:
        """What a list on stdin names, which is kept in a file: it is gone through more than once."""
        if stdin is None:
            raise OptionError("Standard input is closed.", "Pipe a list into it, or leave out -.")
        head = stdin.readline()
        while head and not head.strip():
            head = stdin.readline()
        form = form or guessed(head)
        if form == "paths":
            yield lines_of(head + stdin.read())
            return
        self._spool = tempfile.NamedTemporaryFile(prefix="mistralrs-batch-")  # noqa: SIM115 - closed by ``close``
        self._spool.write(head)
        shutil.copyfileobj(stdin, self._spool)
        self._spool.flush()
        yield _Table("stdin", Path(self._spool.name), form)

    def __iter__(self) -> Iterator[Row]:
        """All rows, each with an id of its own: a second row of the same name is ``name#2``."""
        seen: Counter[str] = Counter()
        for row in self._rows():
            seen[row.id] += 1
            if (count := seen[row.id]) == 1:
                yield row
                continue
            while f"{row.id}#{count}" in seen:
                count += 1
            name = f"{row.id}#{count}"
            seen[name] += 1
            yield replace(row, id=name)

    def _rows(self) -> Iterator[Row]:
        if self.ask.pair:
            yield from map(self._of_files, paired([source for source in self._sources if isinstance(source, list)]))
            return
        if self.ask.per_row > 1:
            files = [path for source in self._sources if isinstance(source, list) for path in source]
            if len(files) % self.ask.per_row:
                raise OptionError(
                    f"{len(files):,} files cannot be put into rows of {self.ask.per_row}.", "Check the patterns."
                )
            step = self.ask.per_row
            yield from (self._of_files(files[start : start + step]) for start in range(0, len(files), step))
            return
        for source in self._sources:
            if isinstance(source, list):
                yield from (self._of_files([path]) for path in source)
            else:
                found = records(source.path, source.shown, source.form)
                yield from (self._of_record(record, source.shown) for record in found)

    def _of_files(self, paths: Sequence[str]) -> Row:
        name = " ".join(paths)
        try:
            parts = [part_of(path, self.ask.options) for path in paths]
            text = filled(self.ask.template or "", paths, {})
        except MistralrsError as error:
            return Row(name, paths=tuple(paths), error=error)
        return Row(name, self.ask.messages(parts, text), tuple(paths))

    def _of_record(self, record: Record, shown: str) -> Row:
        name = f"{shown}:{record.number}"
        value = record.value
        custom = value["custom_id"] if is_batch_line(value) and isinstance(value["custom_id"], str) else None
        try:
            if record.error is not None:
                raise record.error
            if is_batch_line(value):
                messages, sampling, tools = batch_line(value, self.ask.options)
                return Row(custom or name, self._led(messages), sampling=sampling, tools=tools, custom_id=custom)
            if isinstance(value, list) or (isinstance(value, Mapping) and "messages" in value):
                return self._of_request(value, name)
            if not isinstance(value, Mapping):
                raise OptionError(f"Row {record.number:,} is no object.", "A line holds columns, or a request.")
            return self._of_columns(value, name)
        except MistralrsError as error:
            columns = value if isinstance(value, dict) and custom is None and "messages" not in value else {}
            return Row(custom or name, columns=columns, custom_id=custom, error=error)

    def _of_request(self, value: Any, name: str) -> Row:
        """A row that is a request; an id beside it is written out again."""
        columns = {} if isinstance(value, list) else {key: value[key] for key in ("id", "custom_id") if key in value}
        body = value if isinstance(value, list) else {key: value[key] for key in value if key not in columns}
        messages, sampling, tools = request(body, self.ask.options)
        return Row(name, self._led(messages), columns=columns, sampling=sampling, tools=tools)

    def _led(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """A row's own conversation, with the run's instructions before it where it has none."""
        if self.ask.template is not None or self.ask.media:
            raise OptionError("The row holds its own messages, so it takes no -i and no media.", "Leave them out.")
        if self.ask.system is None or messages[0].role == "system":
            return messages
        return (Message("system", (Text(self.ask.system),)), *messages)

    def _of_columns(self, columns: Mapping[str, Any], name: str) -> Row:
        media = columns_media(columns)
        parts = [part_of(path, self.ask.options, kind) for kind, path in media]
        paths = tuple(path for _, path in media)
        prompt = prompt_of(columns)
        text = prompt if self.ask.template is None else filled(self.ask.template, paths, columns)
        if text is None and not parts:
            raise OptionError("The row has neither a prompt nor a file.", "Name a column prompt, or give -i.")
        system = columns.get("system")
        own = system if isinstance(system, str) and system.strip() else None
        return Row(name, self.ask.messages(parts, text or "", own), paths, columns)

    def reads(self, path: Path) -> bool:
        """Whether a file is among what is read."""
        if not path.exists():
            return False
        facts = path.stat()
        for source in self._sources:
            for name in source if isinstance(source, list) else [source.path]:
                with suppress(OSError, ValueError):  # an address, or gone by now
                    if os.path.samestat(os.stat(name), facts):  # noqa: PTH116
                        return True
        return False

    def close(self) -> None:
        """Remove what was kept of stdin."""
        if self._spool is not None:
            self._spool.close()


def is_local(path: str) -> bool:
    """Whether a path is no address."""
    return ADDRESS.match(path) is None


def lines_of(data: bytes) -> list[str]:
    """The paths of a list: one a line, or with zeros between them as ``find -print0`` writes."""
    cut = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(line) for line in cut if line.strip()]


def part_of(path: str, options: MediaOptions, kind: Modality | None = None) -> Part:
    """A file as a part of a message: what its name says, else what its first bytes are."""
    kind = kind or kind_by_name(path)
    if kind is None and ADDRESS.match(path):
        kind = "image"
    if kind is None and suffix_of(path) not in TEXTS:
        from ..media.kinds import kind_of_file

        try:
            kind = kind_of_file(Path(path).expanduser())
        except OSError:
            kind = "image"  # reading it will say why it cannot be read
    return TextFile("", source=path) if kind is None else MediaRef(kind, path, options=options)


def paired(sides: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """The files of the same stem, one of each side, in the order of the first.

    Raises ``OptionError`` where one has no partner, or where two of a side have the same stem.
    """
    found = [{Path(path).stem: path for path in side} for side in sides]
    for side, stems in zip(sides, found, strict=True):
        if len(stems) < len(side):
            twice = next(stem for stem, count in Counter(Path(path).stem for path in side).items() if count > 1)
            raise OptionError(f"--pair: two files of one input are called {twice}.", "Name the pairs in a CSV.")
    for stems in found:
        for other in found:
            for stem in stems.keys() - other.keys():
                raise OptionError(f"--pair: {stems[stem]} has no partner.", "Files pair by their names before the dot.")
    for stem in found[0]:
        yield tuple(stems[stem] for stems in found)


def no_medium(path: str) -> MediaDecodeError:
    """The error for a file that is neither a medium nor a text."""
    return MediaDecodeError(f"{path} is neither an image nor audio, video or text.", "Check the file.")
