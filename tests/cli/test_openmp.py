"""A busy neighbour costs little, unless the user has chosen otherwise."""

import pytest

from mistralrs_cli.cli.openmp import wait_passively


def test_waiting_threads_give_their_core_away() -> None:
    environ: dict[str, str] = {"HOME": "/home/me"}
    wait_passively(environ)
    assert environ == {"HOME": "/home/me", "OMP_WAIT_POLICY": "passive"}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_the_user_chose_stays(name: str) -> None:
    environ = {name: "active"}
    wait_passively(environ)
    assert environ == {name: "active"}
