"""I30: text from outside stands in one log line, escaped."""

import io
import logging

import pytest

from portal.logs import OneLine


@pytest.fixture
def written() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(work_id)s %(name)s %(message)s"))
    logger = logging.getLogger("tests.security.written")
    logger.handlers[:] = [handler]
    logger.propagate = False
    return logger, stream


@pytest.mark.parametrize(
    "name",
    [
        "x\n2026-11-21 12:00:00 INFO - portal admin signed in",
        "x\r\n2026-11-21",
        "\x1b[2J\x1b[31mred",
        "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg",
        "\x00\x08\x7f",
        "\x9b31mcolour by a C1 control",
        "%s%s%n",
    ],
)
def test_i30_a_name_makes_no_line_of_its_own(written: tuple[logging.Logger, io.StringIO], name: str) -> None:
    logger, stream = written
    logger.warning("signed in: %s", name)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line.rstrip("\n").isprintable()


def test_i30_a_trace_is_one_line_too(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    try:
        raise ValueError("bad\n2026-11-21 INFO - portal admin signed in\x1b[31m")
    except ValueError:
        logger.exception("went wrong for %s", "x\ny")
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().rstrip("\n").isprintable()
    assert "Traceback" in stream.getvalue()
