"""What only assistants and questions need is loaded by nothing else."""

import subprocess
import sys

ONLY_FOR_THEM = ("mcp", "mcp_types", "pydantic", "rapidfuzz", "httpx2")
"""Without the API of OpenTelemetry, which the client of Redis takes wherever it is: 0.3 MB and a few milliseconds."""


def test_an_app_and_its_processes_load_none_of_it() -> None:
    script = f"""
import sys
from portal import create_app
from portal.cli.processes import preload
from portal.config import Settings
create_app(Settings.from_environment({{"PORTAL_SECRET_KEY": "{"x9f8a7s6d5f4g3h2" * 3}"}}))
preload()
print(*(name for name in {ONLY_FOR_THEM!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
