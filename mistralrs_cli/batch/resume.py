"""Which rows of a run are there already, from the ids and digests in its output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import OptionError
from .digest import Settings
from .row_file import Entry, RowFile


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left of a run: ``pending`` says it of each row.

    ``done`` rows are there with answers, ``failed`` as failures that stay. ``changed`` rows are answered again since
    their input is another now, ``again`` since they failed. ``gone`` rows in the output are of no input of this run.
    """

    pending: Sequence[bool]
    done: int = 0
    failed: int = 0
    changed: int = 0
    again: int = 0
    gone: int = 0
    keep: Sequence[Entry] = ()
    names: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """How many rows are to be answered."""
        return sum(self.pending)


def resumed(rows: Sequence[tuple[str, str]], file: RowFile, settings: Settings, *, retry: bool) -> Plan:
    """What is left of the rows, each an id and a digest. ``retry`` answers those that failed once more.

    Raises ``OptionError`` where the output is that of another run: another prompt, model or options, or other inputs.
    """
    by_id = {entry.id: entry for entry in file.entries}
    for entry in file.entries:
        if differences := settings.differences(entry.digest):
            raise OptionError(
                f"{file.shown} holds answers to {others(differences)}.",
                "Name another file with -o, or add --overwrite to start over.",
            )
    found = {number: by_id[name] for number, (name, digest) in enumerate(rows) if fits(by_id.get(name), digest)}
    found |= moved(rows, file, found)
    used = {entry.id for entry in found.values()}
    present = {name for name, _ in rows}
    stale = [entry for entry in file.entries if entry.id not in used]
    gone = [entry for entry in stale if entry.id not in present]
    if file.entries and not found and len(gone) == len(file.entries):
        raise OptionError(
            f"{file.shown} holds {len(gone):,} rows of other inputs, such as {gone[0].id}.",
            "Name another file with -o, or add --overwrite to start over.",
        )
    again = {number for number, entry in found.items() if entry.failed and retry}
    names = {entry.id: rows[number][0] for number, entry in found.items() if entry.id != rows[number][0]}
    dropped = {found[number].id for number in again} | {entry.id for entry in stale if entry.id in present}
    kept = found.keys() - again
    failed = sum(found[number].failed for number in kept)
    return Plan(
        pending=[number not in kept for number in range(len(rows))],
        done=len(kept) - failed,
        failed=failed,
        changed=len(stale) - len(gone),
        again=len(again),
        gone=len(gone),
        keep=[entry for entry in file.entries if entry.id not in dropped],
        names=names,
    )


def fits(entry: Entry | None, digest: str) -> bool:
    """Whether an entry answers just this."""
    return entry is not None and entry.digest == digest


def moved(rows: Sequence[tuple[str, str]], file: RowFile, found: dict[int, Entry]) -> dict[int, Entry]:
    """Rows that were answered under another id: those of a table that got a line before them."""
    used = {entry.id for entry in found.values()}
    free: dict[str, list[Entry]] = defaultdict(list)
    for entry in reversed(file.entries):
        if entry.id not in used:
            free[entry.digest].append(entry)
    return {
        number: free[digest].pop() for number, (_, digest) in enumerate(rows) if number not in found and free[digest]
    }


def others(differences: Sequence[str]) -> str:
    """``another prompt and model``."""
    words = [word if word != "options" else "other options" for word in differences]
    return f"another {' and '.join(words)}".replace("another other", "other")
