"""Loading what a command needs, as quickly as it goes."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_process = {"is_ours": False}


def take_process() -> None:
    """Say that this process runs one command and ends. In any other the collector is left as it is."""
    _process["is_ours"] = True


@contextmanager
def for_good() -> Iterator[None]:
    """What is loaded inside the block stays, so nobody looks for garbage in it, then or later: that would be a sixth
    of a start, and a tenth of a second at the end."""
    if not _process["is_ours"]:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
