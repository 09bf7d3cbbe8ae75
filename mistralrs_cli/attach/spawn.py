"""Starting an engine in a process of its own, which outlives the one that asked for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

from ..errors import ModelError
from ..options import AttachOptions, ModelOptions
from ..resources import PACKAGE
from .codec import error_of, from_plain, to_plain
from .engine import AttachedEngine
from .identity import absolute, environment
from .record import own_folder

PROGRAM = "import sys; sys.path.append({root!r}); from mistralrs_cli.cli.engine import entry; entry()"


def start(
    options: ModelOptions,
    how: AttachOptions,
    *,
    kind: str | None = None,
    speech: bool = False,
    verbose: bool = False,
    bars: bool = False,
) -> AttachedEngine:
    """Start an engine that stays for ``how.keep`` idle seconds, and return it once its checkpoint is found.

    It loads its weights then; until they are loaded it ends with this process. What it and its libraries say
    meanwhile goes to this process's stderr: progress ``bars`` where they are wanted, warnings with ``verbose``. One
    for ``speech`` may have a model that only transcribes.

    Raises ``OptionError`` where there is no folder for its socket, and what opening the checkpoint raises.
    """
    own_folder()
    asked = {"options": to_plain(replace(absolute(options))), "keep": how.keep, "kind": kind, "speech": speech}
    process = subprocess.Popen(
        [sys.executable, *warnings(), "-c", PROGRAM.format(root=str(PACKAGE.parent))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    line = json.dumps(asked | {"verbose": verbose, "bars": bars}) + "\n"
    try:
        process.stdin.write(line.encode())
        process.stdin.flush()
        said: dict[str, Any] = json.loads(process.stdout.readline() or b"{}")
    except BrokenPipeError:
        said = {}
    except BaseException:
        process.stdin.close()  # Ctrl-C: it ends with this
        raise
    process.stdout.close()
    if "record" not in said:
        process.stdin.close()
        process.wait()
        if "error" in said:
            raise error_of(said["error"], (absolute(options).model_id, options.model_id))
        raise ModelError("The engine ended while it was starting.", "mistralrs doctor looks for what is wrong.")
    process.returncode = 0  # not waited for: it goes on after this process
    return AttachedEngine(from_plain_record(said["record"]), options, keep=how.keep, holding=process.stdin.close)


def warnings() -> list[str]:
    """This interpreter's own options on warnings."""
    return [word for option in sys.warnoptions for word in ("-W", option)]


def from_plain_record(plain: Any) -> Any:
    """A record as ``to_plain`` made it."""
    from .record import EngineRecord

    return EngineRecord(**vars(from_plain(plain)))
