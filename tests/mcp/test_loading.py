"""What is heavy and seldom needed is loaded where it is used, and by nothing before."""

import subprocess
import sys

import pytest

FOR_ASSISTANTS = ("mcp", "mcp_types", "pydantic", "rapidfuzz", "httpx2")
"""Without the API of OpenTelemetry, which the client of Redis takes wherever it is: 0.3 MB and a few milliseconds."""

WHEN_WANTED = ("apprise", "feedgen", "flufl.bounce", "icalendar", "s3fs", "botocore", "zxcvbn")
"""For texts to telephones, new passwords, feeds, unusual reports, calendars and buckets."""

FOR_PAGES = ("flask", "flask_sqlalchemy", "jinja2", "marshmallow", "PIL", "alembic")

WHOLE = f"""
from portal import create_app
from portal.cli.processes import preload
from portal.config import Settings
create_app(Settings.from_environment({{"PORTAL_SECRET_KEY": "{"x9f8a7s6d5f4g3h2" * 3}"}}))
preload()
"""
"""What `portal up` loads before it starts its processes, which share it."""

HUB = "import portal.live, portal.cli.processes"


@pytest.mark.parametrize(
    ("script", "spared"),
    [(WHOLE, FOR_ASSISTANTS), (WHOLE, WHEN_WANTED), (HUB, (*FOR_PAGES, *FOR_ASSISTANTS, *WHEN_WANTED))],
    ids=["assistants", "seldom", "hub"],
)
def test_an_app_and_its_processes_load_none_of_it(script: str, spared: tuple[str, ...]) -> None:
    script = f"{script}\nimport sys\nprint(*(name for name in {spared!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
