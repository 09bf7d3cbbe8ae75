"""For ``test_on_ray``: a process whose id stands in the file ``$MISTRALRS_TEST_DOWN`` loses its engine."""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path


def watch(file: Path) -> None:
    """Have the scheduler's thread fail again and again, as a broken device would."""
    while True:
        with contextlib.suppress(OSError):
            if file.read_text() == str(os.getpid()):
                break
        time.sleep(0.2)
    scheduler = sys.modules["mistralrs_cli.engine.scheduler"].Scheduler

    def fail(self: object) -> None:
        raise RuntimeError("the device is gone")

    scheduler._turn = fail
    (engine,) = [thread for thread in threading.enumerate() if thread.name == "mistralrs-engine"]
    own = vars(engine)["_target"].__self__
    own._inbox.put(None)  # it sleeps until something comes
    while own.failure is None:
        time.sleep(0.01)
    file.write_text("down")


if name := os.environ.get("MISTRALRS_TEST_DOWN"):
    threading.Thread(target=watch, args=(Path(name),), daemon=True).start()
