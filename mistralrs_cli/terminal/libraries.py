"""What the libraries underneath may say."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries(*, verbose: bool, bars: bool) -> Iterator[None]:
    """Keep warnings and logs of libraries to themselves unless verbose, and their progress bars unless wanted."""
    settings = {} if verbose else {"TORCH_CPP_LOG_LEVEL": "ERROR", "GLOG_minloglevel": "2"}
    if not bars:
        settings |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
    before = {name: os.environ.get(name) for name in settings}
    disabled = logging.root.manager.disable
    os.environ.update(settings)
    try:
        if verbose:
            yield
        else:
            logging.disable(logging.CRITICAL)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
    finally:
        logging.disable(disabled)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
