"""Names of Ray that it does not document. ``make test-ray`` uses each; the extra pins one version for them."""

from __future__ import annotations


def end_own_cluster() -> None:
    """End all processes of the cluster that this process started, at once.

    ``serve.shutdown`` and ``ray.shutdown`` wait for calls that are open until a timeout, half a minute in all; nothing
    runs any more when this is called. Ray cannot be used in this process afterwards.
    """
    import atexit

    from ray._private import worker

    if worker._global_node is not None:
        worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=False)
        worker._global_node = None
    atexit.unregister(worker.shutdown)
