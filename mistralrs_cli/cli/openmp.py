"""How the threads of a matrix product wait for each other, decided before torch is imported: OpenMP reads it once."""

from collections.abc import MutableMapping

CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def wait_passively(environ: MutableMapping[str, str]) -> None:
    """Let a thread that waits give its core away, unless the user has chosen how threads wait.

    OpenMP's default is to spin. Beside another busy process a spinning thread holds the core that the thread it waits
    for needs: answers took three times as long, and no longer than alone once they slept (``docs/performance.md``).
    """
    if not any(name in environ for name in CHOSEN):
        environ["OMP_WAIT_POLICY"] = "passive"
