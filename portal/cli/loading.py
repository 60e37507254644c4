"""Loading what a command needs, as quickly as it goes."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def for_good() -> Iterator[None]:
    """What is loaded inside the block stays, so nobody looks for garbage in it, then or later: that would be a sixth
    of a start, and a tenth of a second at the end."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
