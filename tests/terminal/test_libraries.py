"""Libraries keep quiet unless asked, and everything is as before afterwards."""

import logging
import os
import warnings

import pytest

from mistralrs_cli.terminal.libraries import quiet_libraries


def test_warnings_and_logs_are_hushed(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_libraries(verbose=False, bars=False):
        warnings.warn("careful", stacklevel=1)
        logging.getLogger("transformers").error("careful")
        assert os.environ["TQDM_DISABLE"] == "1"
    assert capsys.readouterr() == ("", "")
    assert "TQDM_DISABLE" not in os.environ
    assert logging.root.manager.disable == 0


def test_verbose_lets_them_speak(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_libraries(verbose=True, bars=True):
        logging.getLogger("a_library").error("careful")  # that of transformers does not always propagate
        with pytest.warns(UserWarning, match="careful"):
            warnings.warn("careful", stacklevel=1)
        assert "TQDM_DISABLE" not in os.environ
    assert "careful" in caplog.text
