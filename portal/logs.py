"""Log lines: one event, one line, with the id of the request or job it belongs to."""

import logging
import sys
from contextvars import ContextVar

work_id: ContextVar[str] = ContextVar("work_id", default="-")
"""The request id, or the job id with the prefix "job:", of whatever this context is doing."""

_CONTROLS = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""C0 and C1 controls, the two line separators of Unicode, and what turns the writing direction round."""

_ESCAPES = {code: f"\\x{code:02x}" for code in _CONTROLS}


class OneLine(logging.Formatter):
    """Escapes control characters, so that text from outside can neither start a line nor colour a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        record.work_id = work_id.get()
        trace = record.exc_info
        record.exc_info, record.exc_text = None, None
        line = super().format(record).translate(_ESCAPES)
        if trace:
            line += " | " + self.formatException(trace).translate(
                {10: " ⏎ ", **{k: v for k, v in _ESCAPES.items() if k != 10}}
            )
        return line


def set_up(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(work_id)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
